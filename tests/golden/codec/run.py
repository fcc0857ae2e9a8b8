#!/usr/bin/env python3
"""Golden cases of the structured log formats: FORMAT.NAME.log goes through the parser FORMAT and must
give FORMAT.NAME.want, byte for byte. With --write the .want files are written anew (read the diff).
usage: run.py LOG_RECORDS [--write]"""
import pathlib
import subprocess
import sys

here, tool, write = pathlib.Path(__file__).parent, sys.argv[1], "--write" in sys.argv
failed = cases = 0
for log in sorted(here.glob("*.log")):
    got = subprocess.run([tool, log.name.split(".")[0]], input=log.read_bytes(), stdout=subprocess.PIPE, check=True).stdout
    want = log.with_suffix(".want")
    cases += 1
    if write:
        want.write_bytes(got)
    elif got != want.read_bytes():
        failed += 1
        print(f"{log.name}: differs from {want.name}")
        diff = subprocess.run(["diff", "-u", want, "-"], input=got, stdout=subprocess.PIPE)
        print(diff.stdout.decode("utf-8", "replace"))
print(f"{cases} cases, {failed} failed")
sys.exit(failed > 0 or cases == 0)
