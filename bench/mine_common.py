"""What bench/mine, mine-ablate and mine-loo share: finding the sets, running the driver, scoring."""
import importlib.util
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DRIVER = os.environ.get("MINE_DRIVER", os.path.join(HERE, "..", "build", "bench", "mine_driver"))
FLAVOURS = {"original": ("loghub_2k", "_2k.log_structured.csv"),
            "corrected": ("loghub_2k_corrected", "_2k.log_structured_corrected.csv")}


def data_dir(args, usage):
    data = args[0] if args else os.environ.get("FAULTLINE_DATA", "")
    base = os.path.join(data, "logparse")
    if not os.path.isfile(os.path.join(base, "eval.py")):
        sys.exit(usage)
    return base


def load_eval(base):
    spec = importlib.util.spec_from_file_location("logparse_eval", os.path.join(base, "eval.py"))
    mod = importlib.util.module_from_spec(spec)
    argv, out = sys.argv, sys.stdout
    sys.argv, sys.stdout = ["eval", "--selftest"], open(os.devnull, "w")
    try:
        spec.loader.exec_module(mod)
    finally:
        sys.argv, sys.stdout = argv, out
    return mod


def load_sets(ev, base, flavour):
    """-> {set: [(event id, template, message)]}"""
    folder, suffix = FLAVOURS[flavour]
    root = os.path.join(base, folder)
    found = {}
    for s in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        path = os.path.join(root, s, s + suffix)
        if os.path.isfile(path):
            found[s] = ev.read_gt(path)
    return found


def mine(messages, options=()):
    """-> (template id, template text) of every message"""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n") as f:
        f.writelines(m.replace("\n", " ") + "\n" for m in messages)
        f.flush()
        out = subprocess.run([DRIVER, *options, f.name], check=True, stdout=subprocess.PIPE).stdout
    rows = [r.split("\t", 2) for r in out.decode("utf-8", "replace").split("\n")[:-1]]
    assert len(rows) == len(messages), (len(rows), len(messages))
    return [r[1] for r in rows], [r[2] for r in rows]


def mine_raw(path, count):
    """The same for a log file with headers of `count` lines; a line without a record stands alone."""
    out = subprocess.run([DRIVER, "--raw", path], check=True, stdout=subprocess.PIPE).stdout
    ids, texts = ["line %d" % i for i in range(count)], [""] * count
    for r in out.decode("utf-8", "replace").split("\n")[:-1]:
        line, tid, text = r.split("\t", 2)
        if 1 <= int(line) <= count:
            ids[int(line) - 1], texts[int(line) - 1] = tid, text
    return ids, texts


def score(ev, rows, ids, texts):
    r = ev.grouping([g[0] for g in rows], ids)
    r.update(ev.parsing([g[1] for g in rows], texts))
    return r
