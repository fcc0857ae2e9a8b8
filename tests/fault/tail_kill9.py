"""kill -9 while files are followed: every complete line is stored exactly once.

    tail_kill9.py PROGRAM [ROUNDS] [SEED]

A writer appends numbered lines to a file and renames it now and then; the
server that follows it is killed at random moments and started again."""
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
import otlp  # noqa: E402
from server import Server  # noqa: E402

WAIT_S = 60


class Writer(threading.Thread):
    def __init__(self, path, seed):
        super().__init__()
        self.path, self.rng = path, random.Random(seed)
        self.lines = self.rotations = 0
        self.stop = threading.Event()

    def append(self, count):
        with open(self.path, "a") as f:
            for i in range(self.lines, self.lines + count):
                f.write(f"2026-11-20T10:{i // 60 % 60:02d}:{i % 60:02d}Z INFO line {i} of the run\n")
        self.lines += count

    def run(self):
        while not self.stop.is_set():
            self.append(self.rng.randrange(1, 60))
            if self.rng.random() < 0.02:
                self.rotations += 1
                os.rename(self.path, f"{self.path}.{self.rotations}")
            time.sleep(self.rng.uniform(0, 0.01))


def stored(server):
    texts = otlp.all_records("logs", server.export("logs"))
    out = []
    for text in texts:
        record = json.loads(text)["record"]
        body = record.get("body", ["", ""])[1]
        if isinstance(body, str) and body.endswith(" of the run"):
            out.append(int(body.split()[1]))
    return sorted(out)


def main():
    program = str(Path(sys.argv[1]).resolve())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(os.environ.get("FAULTLINE_SEED", "1"))
    rng = random.Random(seed)
    directory = Path(tempfile.mkdtemp(prefix="faultline-tail-"))
    print(f"seed {seed}, {rounds} rounds")
    (directory / "logs").mkdir()
    writer = Writer(str(directory / "logs" / "app.log"), seed)
    server = Server(directory, f"tail.paths=[{directory}/logs/app.log*]", "self.logs=false",
                    "store.journal=1MiB", "store.journal_age=1s", program=program)
    try:
        writer.append(10)
        writer.start()
        for _ in range(rounds):
            server.start()
            time.sleep(rng.uniform(0.05, 0.8))
            server.kill()
        writer.stop.set()
        writer.join()
        server.start()
        want = list(range(writer.lines))
        deadline = time.monotonic() + WAIT_S
        while len(got := stored(server)) < len(want) and time.monotonic() < deadline:
            time.sleep(0.2)
        if got != want:
            twice = len(got) - len(set(got))
            missing = sorted(set(want) - set(got))
            raise AssertionError(f"{len(want)} lines, {len(got)} stored, {twice} twice, "
                                 f"{len(missing)} missing {missing[:5]}\n{server.log()}")
        assert server.stop() == 0
        print(f"{len(want)} lines, {writer.rotations} rotations, {rounds} kills: each line once")
        print("[       OK ]")
    finally:
        writer.stop.set()
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
