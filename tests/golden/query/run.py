#!/usr/bin/env python3
"""Golden cases of the query languages: each NAME.case (data and queries, see query_cases.c) must give
NAME.want, byte for byte. With --write the .want files are written anew (read the diff).
usage: run.py QUERY_CASES [--write]"""
import pathlib
import subprocess
import sys

here, tool, write = pathlib.Path(__file__).parent, sys.argv[1], "--write" in sys.argv
failed = cases = 0
for case in sorted(here.glob("*.case")):
    got = subprocess.run([tool], input=case.read_bytes(), stdout=subprocess.PIPE, check=True).stdout
    want = case.with_suffix(".want")
    cases += 1
    if write:
        want.write_bytes(got)
    elif got != want.read_bytes():
        failed += 1
        print(f"{case.name}: differs from {want.name}")
        diff = subprocess.run(["diff", "-u", want, "-"], input=got, stdout=subprocess.PIPE)
        print(diff.stdout.decode("utf-8", "replace"))
print(f"{cases} files, {failed} failed")
sys.exit(failed > 0 or cases == 0)
