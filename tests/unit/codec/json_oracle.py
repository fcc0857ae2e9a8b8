#!/usr/bin/env python3
"""The scanner against Python's json on generated texts: random values in random layout, and the same
damaged in one place. Both must accept the same texts and find the same value in them.
usage: json_oracle.py JSON_CANON [COUNT] [SEED]"""
import json
import random
import re
import subprocess
import sys

canon, count, seed = sys.argv[1], int((sys.argv[2:] or [4000])[0]), int((sys.argv[3:] or [1])[0])
rnd = random.Random(seed)
CHARS = list("abcXYZ 019_-./:{}[],\"\\\n\t\r\b\f\x00\x1f\x7f") + ["é", "€", "😀", "\u2028", "\ufffd"]
ESCAPES = ["\\n", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\r", "\\t", "\\u0041", "\\u20ac", "\\ud83d\\ude00",
           "\\ud83d", "\\ude00", "\\u0000", "\\uD83D\\uDE00", "\\ud83d\\u0041"]


def text():
    out = []
    for _ in range(rnd.choice([0, 1, 3, 8, 15, 16, 17, 33, 70, 200])):
        if rnd.random() < 0.1:
            out.append(rnd.choice(ESCAPES))
        else:
            c = rnd.choice(CHARS)
            out.append(json.dumps(c)[1:-1] if c in "\"\\" or ord(c) < 32 or rnd.random() < 0.05 else c)
    return '"' + "".join(out) + '"'


def number():
    return rnd.choice(["0", "-0", "1", "-1", "0.5", "1e5", "1E+5", "2.25e-10", "-12345678901234567890",
                       "3.14159", "1e400", str(rnd.getrandbits(60)), repr(rnd.random())])


def space():
    return rnd.choice(["", "", "", " ", "\n", "\t", "\r\n  "])


def value(depth):
    kind = rnd.random()
    if depth > 0 and kind < 0.25:
        return "{" + space() + ",".join(space() + text() + space() + ":" + value(depth - 1)
                                        for _ in range(rnd.randrange(5))) + "}" + space()
    if depth > 0 and kind < 0.45:
        return "[" + ",".join(value(depth - 1) for _ in range(rnd.randrange(5))) + space() + "]"
    return space() + (text() if kind < 0.75 else number() if kind < 0.9 else
                      rnd.choice(["true", "false", "null"])) + space()


def damage(b):
    if not b:
        return b
    i, how = rnd.randrange(len(b)), rnd.random()
    if how < 0.3:
        return b[:i] + b[i + 1:]
    if how < 0.6:
        return b[:i] + bytes([rnd.choice(b'{}[],:"\\0eE+-.tfn \n\x01\x80\xc3\xff')]) + b[i:]
    if how < 0.8:
        return b[:i]
    return b[:i] + bytes([b[i] ^ (1 << rnd.randrange(8))]) + b[i + 1:]


def refuse(name):
    raise ValueError(name)


LONE = re.compile("[\ud800-\udfff]")


def clean(v):
    if isinstance(v, str):
        return LONE.sub("\ufffd", v)
    if isinstance(v, list):
        return [clean(x) for x in v]
    if isinstance(v, tuple):
        return tuple(clean(x) for x in v)
    return v


def load(b):
    """Pairs keep duplicate keys and order; numbers stay text."""
    s = b.decode("utf-8")
    if s.startswith("\ufeff"):
        raise ValueError("byte order mark")
    return clean(json.loads(s, parse_float=lambda t: ("n", t), parse_int=lambda t: ("n", t), parse_constant=refuse,
                            object_pairs_hook=lambda p: ("o", tuple(tuple(x) for x in p))))


texts = []
for _ in range(count):
    b = value(5).encode("utf-8")
    texts.append(b)
    texts.append(damage(b))
run = subprocess.run([canon], input=b"".join(b"%d\n%s" % (len(t), t) for t in texts), stdout=subprocess.PIPE, check=True)
lines = run.stdout.split(b"\n")[:-1]
assert len(lines) == len(texts), (len(lines), len(texts))
accepted = failed = 0
for t, line in zip(texts, lines):
    try:
        want = ("OK", load(t))
    except ValueError:
        want = ("ERR", None)
    got = ("OK", load(line[3:])) if line.startswith(b"OK ") else ("ERR", None)
    accepted += want[0] == "OK"
    if got != want:
        failed += 1
        print("differs on", t, "\n  want", want, "\n  got", line)
print(f"{len(texts)} texts, {accepted} of them JSON, {failed} differ (seed {seed})")
sys.exit(failed > 0 or accepted < count or accepted == len(texts))
