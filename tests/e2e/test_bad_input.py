"""Inputs and outputs that are not as they should be: one clear line each, the documented exit status,
and the other inputs are still read."""
import gzip
import os
import random
import shutil
import socket

import harness

GOOD = "".join(f"2026-03-17 08:{i // 60:02}:{i % 60:02} INFO order {i} paid\n" for i in range(600))


class BadInput(harness.Case):
    def setUp(self):
        super().setUp()
        self.write("good.log", GOOD)

    def mine(self, *args, **kw):
        status, out, errors = self.run_program("mine", *args, **kw)
        if "good.log" in map(str, args) or "." in args:
            self.assertIn("order <*> paid", out, errors)
        return status, out, errors

    def skipped(self, name, reason, status=0):
        """mine of good.log and `name`: one line names it and the reason, --strict gives 5."""
        got, _, errors = self.mine("good.log", name)
        self.assertEqual(got, status, errors)
        self.assertRegex(self.one_line_about(errors, name), reason)
        got, _, _ = self.mine("--strict", "good.log", name)
        self.assertEqual(got, 5)

    def test_missing_file(self):
        self.skipped("missing.log", "(?i)no such file|not found|does not exist")

    def test_unreadable_file(self):
        self.write("secret.log", GOOD).chmod(0)
        if os.getuid() != 0:
            self.skipped("secret.log", "(?i)permission")
            return
        # root may read everything: run a copy of the program as nobody
        program = shutil.copy(harness.PROGRAM, self.dir / "faultline")
        self.dir.chmod(0o755)
        got, out, errors = self.run_program("mine", "good.log", "secret.log", program=program,
                                            user=65534, group=65534, extra_groups=[])
        self.assertEqual(got, 0, errors)
        self.assertIn("order <*> paid", out)
        self.assertRegex(self.one_line_about(errors, "secret.log"), "(?i)permission")

    def test_socket(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(self.dir / "sock.log"))
            self.skipped("sock.log", "sock.log.*\\w")

    def test_link_to_itself(self):
        os.symlink("round.log", self.dir / "round.log")
        self.skipped("round.log", "(?i)symbolic|loop|link")

    def test_directory_loop(self):
        os.symlink(".", self.dir / "down")
        got, out, errors = self.mine(".")
        self.assertEqual(got, 0, errors)
        self.assertRegex(out, r"\b600\b")  # once, not once a turn

    def test_binary_file(self):
        self.write("core.bin", random.Random(7).randbytes(100_000))
        self.skipped("core.bin", "(?i)binary")

    def test_empty_file(self):
        self.write("empty.log", "")
        got, _, errors = self.mine("good.log", "empty.log")
        self.assertEqual(got, 0, errors)
        self.assertRegex(self.one_line_about(errors, "empty.log"), "(?i)empty")

    def test_truncated_gzip(self):
        data = gzip.compress(GOOD.encode() + random.Random(7).randbytes(3000).hex().encode())
        self.write("cut.log.gz", data[:-200])
        self.skipped("cut.log.gz", "(?i)truncat|cut|unexpected end|ends early|damaged|corrupt")

    def test_nothing_readable_is_status_3(self):
        got, out, errors = self.run_program("mine", "missing.log", "gone.log")
        self.assertEqual((got, out), (3, ""), errors)
        self.one_line_about(errors, "missing.log")
        self.one_line_about(errors, "gone.log")

    def test_bad_expressions_are_status_2(self):
        for args in (["mine", "--mask", "x=("], ["analyze", "--session", "[z-a]"]):
            got, out, errors = self.run_program(*args, "good.log")
            self.assertEqual((got, out), (2, ""), errors)
            self.assertLessEqual(len(errors.splitlines()), 2, errors)
            self.assertIn(args[1].strip("-"), errors)

    def test_full_disk_is_status_4(self):
        for args in (["mine", "good.log", "--output", "/dev/full"],
                     ["analyze", "good.log", "--output", "/dev/full"]):
            got, _, errors = self.run_program(*args)
            self.assertEqual(got, 4, errors)
            self.assertIn("space", self.one_line_about(errors, "/dev/full"))
        with open("/dev/full", "wb") as full:
            got, _, errors = self.run_program("mine", "good.log", stdout=full)
        self.assertEqual(got, 4, errors)

    def test_output_into_nowhere_is_status_4(self):
        got, _, errors = self.run_program("mine", "good.log", "--output", "no/such/dir/out.txt")
        self.assertEqual(got, 4, errors)
        self.one_line_about(errors, "no/such/dir/out.txt")

    def test_odd_bytes_do_not_stop_it(self):
        odd = GOOD.encode().replace(b"\n", b"\r\n") + b"\xff\xfe broken \xc3( text\n" + b"nul \0 here\n"
        self.write("odd.log", odd + b"x" * 3_000_000)
        got, out, errors = self.mine("odd.log")
        self.assertEqual(got, 0, errors)
        self.assertIn("order <*> paid", out)

    def test_standard_input(self):
        for args in (["mine", "-"], ["mine"]):
            got, out, errors = self.run_program(*args, stdin=GOOD.encode())
            self.assertEqual(got, 0, errors)
            self.assertIn("order <*> paid", out)
        got, out, _ = self.run_program("mine", "-", stdin=gzip.compress(GOOD.encode()))
        self.assertEqual(got, 0)
        self.assertIn("order <*> paid", out)


if __name__ == "__main__":
    harness.main()
