"""What the end-to-end tests share: the program to run (first argument), a fresh directory for each
test, and output that scripts/count-tests understands."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(sys.argv[1] if len(sys.argv) > 1 else "build/src/app/faultline").resolve()
ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT_S = 300


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="faultline-e2e-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def run_program(self, *args, stdin=None, stdout=subprocess.PIPE, program=PROGRAM, **kw):
        """stdin: bytes. Without it standard input is empty. Returns exit status, output, errors."""
        env = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1", "COLUMNS": "100"}
        done = subprocess.run([program, *map(str, args)], input=stdin or b"", stdout=stdout,
                              stderr=subprocess.PIPE, cwd=self.dir, env=env, timeout=TIMEOUT_S,
                              check=False, **kw)
        out = (done.stdout or b"").decode("utf-8", "replace")
        return done.returncode, out, done.stderr.decode("utf-8", "replace")

    def write(self, name, data):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def one_line_about(self, errors, what):
        """Exactly one line of `errors` speaks of `what`; returns it."""
        lines = [line for line in errors.splitlines() if what in line]
        self.assertEqual(len(lines), 1, f"lines about {what!r} in:\n{errors}")
        return lines[0]


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
    bad = len(result.failures) + len(result.errors)
    for _ in range(result.testsRun - bad - len(result.skipped)):
        print("[       OK ]")
    sys.exit(1 if bad or result.testsRun == 0 else 0)
