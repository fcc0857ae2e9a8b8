#!/usr/bin/env python3
"""kill -9 of a process that appends to a store, again and again on the same directory: every acknowledged
record is there exactly once, every other at most once, and nothing counts as damaged.

Half of the kills come right after an acknowledgement, half at a random moment.
Usage: test_kill.py STORE_CHILD KILLS [SEED]"""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

child, kills = sys.argv[1], int(sys.argv[2])
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
random.seed(seed)
print(f"seed {seed}, {kills} kills")


def run_and_kill(directory, first, number):
    """Starts the child at record `first`, kills it; what it acknowledged, and the next free record."""
    process = subprocess.Popen([child, directory, str(first), str(seed * 100000 + number)],
                               stdout=subprocess.PIPE)
    out = process.stdout.fileno()
    text = b""
    wanted = random.randint(1, 60) if number % 2 else None
    end = time.monotonic() + random.uniform(0.0, 0.15)
    while True:
        if wanted is None:
            # A random moment: the answers wait in the pipe, which holds more than the child can write.
            time.sleep(max(0.0, end - time.monotonic()))
            break
        part = os.read(out, 65536)
        text += part
        if not part or text.count(b"\n") >= wanted:
            break
    process.send_signal(signal.SIGKILL)
    code = process.wait()
    text += process.stdout.read()
    process.stdout.close()
    assert code == -signal.SIGKILL, f"the child ended by itself: {code}"
    acknowledged = set()
    for line in text.decode().splitlines():
        word, start, count = line.split()
        assert word == "ack", line
        acknowledged.update(range(int(start), int(start) + int(count)))
    return acknowledged


def check(directory, acknowledged):
    began = time.monotonic()
    done = subprocess.run([child, directory, "0", "0", "check"], capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    lines = done.stdout.splitlines()
    assert lines[-1] == "damaged 0", lines[-1]
    times = Counter(int(line.split()[1]) for line in lines[:-1])
    twice = [n for n, count in times.items() if count > 1]
    lost = [n for n in acknowledged if times[n] != 1]
    assert not twice, f"{len(twice)} records are there more than once: {twice[:5]}"
    assert not lost, f"{len(lost)} acknowledged records are lost: {lost[:5]}"
    return len(times), took


with tempfile.TemporaryDirectory() as directory:
    acknowledged, first, slowest = set(), 0, 0.0
    for number in range(kills):
        acknowledged |= run_and_kill(directory, first, number)
        first += 1_000_000  # numbers are never used again
        stored, took = check(directory, acknowledged) if number % 5 == 4 or number == kills - 1 else (0, 0)
        slowest = max(slowest, took)
    print(f"{kills} kills: {len(acknowledged)} records acknowledged, {stored} stored, none lost, none twice; "
          f"slowest start and check {slowest:.2f} s")
