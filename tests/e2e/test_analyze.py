"""The program's main job on small logs: odd bytes, every way of reading, lists of templates, sessions, state."""
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time

import harness
from harness import PROGRAM, ROOT

USAGE = 2


def lines(n, step=1.0, start=0.0):
    """An ordinary small log."""
    out = []
    for i in range(n):
        t = start + i * step
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1773734400 + t)) + ",%03d" % (t % 1 * 1000)
        out.append("%s INFO [worker-%d] shop.Cart - user %d added %d items in %d ms" % (
            stamp, i % 4, 1000 + i * 7 % 900, 1 + i % 5, 3 + i % 11))
    return out


class Scratch(harness.Case):
    def log(self, name="app.log", n=3000):
        return self.write(name, "\n".join(lines(n)) + "\n")

    def analyze(self, *args, **kw):
        status, out, errors = self.run_program("analyze", "--format", "json", *args, **kw)
        self.assertEqual(status, 0, errors)
        return json.loads(out)

    def records(self, *args, **kw):
        return sum(i["records"] for i in self.analyze(*args, **kw)["looked_at"]["inputs"])


class TooLittle(Scratch):
    def test_empty_file_is_undetermined(self):
        self.assertIsNone(self.analyze(self.write("empty.log", ""))["is_anomaly"])

    def test_few_lines_are_undetermined(self):
        self.assertIsNone(self.analyze(self.write("few.log", "\n".join(lines(3)) + "\n"))["is_anomaly"])

    def test_ordinary_log_is_normal(self):
        self.assertIs(self.analyze(self.log())["is_anomaly"], False)

    def test_only_missing_times(self):
        path = self.write("notime.log", "".join("user %d added %d items\n" % (i, i % 5) for i in range(3000)))
        self.assertIsNot(self.analyze(path)["is_anomaly"], True)


class BadArguments(Scratch):
    def usage(self, *args):
        status, out, errors = self.run_program(*args, self.log())
        self.assertEqual((status, out), (USAGE, ""))
        return errors

    def test_bad_log_format_lists_the_known(self):
        self.assertIn("syslog", self.usage("analyze", "--log-format", "nonsense"))

    def test_bad_time(self):
        self.assertIn("yesterdayish", self.usage("analyze", "--since", "yesterdayish"))

    def test_bad_zone(self):
        self.assertIn("Mars", self.usage("analyze", "--timezone", "Mars"))

    def test_bad_rules_file(self):
        bad = self.write("rules.yaml", "rules:\n  - id: [\n")
        self.assertIn("rules.yaml", self.usage("analyze", "--rules", bad))

    def test_missing_rules_file(self):
        self.assertIn("no such file", self.usage("analyze", "--rules", self.dir / "none.yaml"))

    def test_damaged_state_file_is_refused_and_kept(self):
        state, path = self.dir / "state", self.log()
        self.assertEqual(self.run_program("mine", "--state", state, path)[0], 0)
        data = bytearray(state.read_bytes())
        data[len(data) // 2] ^= 0x55
        state.write_bytes(data)
        status, _, errors = self.run_program("mine", "--state", state, path)
        self.assertEqual(status, USAGE)
        self.one_line_about(errors, "state")
        self.assertEqual(state.read_bytes(), bytes(data))


class OddBytes(Scratch):
    def test_crlf_and_no_final_newline(self):
        report = self.analyze(self.write("dos.log", "\r\n".join(lines(3000))))
        self.assertEqual(sum(i["records"] for i in report["looked_at"]["inputs"]), 3000)

    def test_nul_and_invalid_utf8_are_counted(self):
        text = ("\n".join(lines(3000)) + "\n").encode()
        text = text.replace(b"user 1007 ", b"user \xff\xfe1007 ").replace(b"user 1014 ", b"user \x001014 ")
        report = self.analyze(self.write("odd.log", text))
        self.assertEqual(sum(i["records"] for i in report["looked_at"]["inputs"]), 3000)

    def test_very_long_line(self):
        text = "\n".join(lines(2000)) + "\n" + lines(1, start=2000)[0] + "x" * (100 << 20) + "\n"
        text += "\n".join(lines(1000, start=2001)) + "\n"
        report = self.analyze(self.write("long.log", text))
        self.assertEqual(sum(i["records"] for i in report["looked_at"]["inputs"]), 3001)

    def test_script_in_a_log_line_is_text_in_html(self):
        text = lines(3000)
        bad = "2026-03-17 08:40:00,000 ERROR [worker-1] shop.Cart - failed <script>alert(1)</script> \x1b[2J"
        path = self.write("evil.log", "\n".join(text[:2400] + [bad] * 40 + text[2400:]) + "\n")
        status, out, _ = self.run_program("analyze", "--format", "html", path)
        self.assertEqual(status, 0)
        self.assertNotIn("<script>alert", out)
        status, out, _ = self.run_program("analyze", path)
        self.assertNotIn("\x1b[2J", out)


class Reading(Scratch):
    def test_gzip_zstd_directory_glob_and_pipe(self):
        text = ("\n".join(lines(2000)) + "\n").encode()
        self.write("d/a.log", text)
        self.write("d/b.log.gz", gzip.compress(text))
        self.write("d/deep/c.log.zst", subprocess.run(["zstd", "-c"], input=text, capture_output=True, check=True).stdout)
        self.assertEqual(self.records(str(self.dir / "d")), 6000)
        self.assertEqual(self.records(str(self.dir / "d/*.log*")), 4000)
        self.assertEqual(self.records("-", stdin=text), 2000)

    def test_same_file_twice_is_read_once(self):
        path = self.log()
        self.assertEqual(self.records(path, path, self.dir), 3000)

    def test_since_and_until(self):
        path = self.log()
        self.assertEqual(self.records("--since", "2026-03-17T08:10:00Z", "--until", "2026-03-17T08:20:00Z", path), 600)

    def test_since_duration_counts_from_the_newest_record(self):
        got = self.records("--since", "10m", self.log())
        self.assertTrue(595 <= got <= 605, got)

    def test_threads_make_no_difference(self):
        folder = str(self.dir / "inc")
        subprocess.run([sys.executable, os.path.join(ROOT, "examples", "generate.py"), "certificate", folder, "--lines",
                        "20000"], check=True, capture_output=True)
        one, four = (self.run_program("analyze", "--format", "json", "--threads", n, folder)[1] for n in (1, 4))
        self.assertEqual(json.loads(one), json.loads(four))

    def wait_for_end_of_file(self, process, size):
        """Until the program has read `size` bytes and then reads again and again without getting any."""
        deadline = time.monotonic() + 60
        before = {}
        while time.monotonic() < deadline and process.poll() is None:
            with open("/proc/%d/io" % process.pid) as f:
                now = {k: int(v) for k, v in (line.split(":") for line in f)}
            if not before or now["rchar"] != before["rchar"]:
                before = now
            elif now["rchar"] >= size and now["syscr"] >= before["syscr"] + 2:
                return
            time.sleep(0.01)
        self.fail("the end of the file was not reached")

    def test_interrupt_ends_a_followed_file_with_a_report(self):
        path = self.log()
        out = open(str(self.dir / "report.json"), "wb")
        p = subprocess.Popen([PROGRAM, "analyze", "--follow", "--format", "json", path], stdout=out, stderr=subprocess.PIPE)
        self.wait_for_end_of_file(p, os.path.getsize(path))
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=20)
        out.close()
        self.assertEqual(sum(i["records"] for i in json.load(open(out.name))["looked_at"]["inputs"]), 3000)


class OwnLog(Scratch):
    def test_decisions_are_logged_when_asked(self):
        path = self.log()
        status, _, errors = self.run_program("analyze", "--log-level", "info", path)
        self.assertEqual(status, 0)
        events = [line.split("event=")[1].split()[0] for line in errors.splitlines()]
        self.assertEqual(events, ["rules_loaded", "input_read", "scan_done", "detected", "concluded"])
        self.assertIn("records=3000", self.one_line_about(errors, "event=input_read"))

    def test_silent_by_default(self):
        self.assertEqual(self.run_program("analyze", self.log())[2], "")


class Mine(Scratch):
    def test_rows_are_lines(self):
        path = self.log()
        status, out, _ = self.run_program("mine", "--format", "tsv", path)
        rows = [row.split("\t") for row in out.splitlines()]
        self.assertEqual([int(r[0]) for r in rows], list(range(1, 3001)))
        self.assertEqual(len({r[1] for r in rows}), 1)
        self.assertRegex(rows[0][2], r"user <\*> added <\*> items in <\*> ?ms|user <\*> added <\*> items in <\*>")

    def test_content_lines_have_no_header(self):
        path = self.write("c.txt", "ERROR disk sda full\nERROR disk sdb full\n" * 50)
        status, out, _ = self.run_program("mine", "--content", "--format", "tsv", path)
        self.assertEqual(len(out.splitlines()), 100)
        self.assertTrue(all("ERROR disk" in r for r in out.splitlines()))

    def test_counts_add_up(self):
        status, out, _ = self.run_program("mine", "--format", "json", self.log())
        self.assertEqual(sum(t["count"] for t in json.loads(out)["templates"]), 3000)

    def test_params_have_names_and_types(self):
        status, out, _ = self.run_program("mine", "--params", "--format", "json", self.log())
        params = json.loads(out)["templates"][0]["params"]
        self.assertEqual([(p["name"], p["type"]) for p in params],
                         [("user", "int"), ("added", "int"), ("in", "unit")])

    def test_state_keeps_ids_and_counts(self):
        path, state = self.log(), str(self.dir / "state")
        first = json.loads(self.run_program("mine", "--format", "json", "--state", state, path)[1])["templates"]
        again = json.loads(self.run_program("mine", "--format", "json", "--state", state, path)[1])["templates"]
        self.assertEqual([t["id"] for t in first], [t["id"] for t in again])
        self.assertEqual([t["count"] * 2 for t in first], [t["count"] for t in again])

    def test_mask(self):
        path = self.write("m.txt", "".join("order AB%s shipped to zone%s\n" % (c, c) for c in "CDEFGHIJKLMNOP"))
        status, out, _ = self.run_program("mine", "--content", "--mask", "order=AB[A-Z]+", path)
        self.assertEqual(status, 0)
        self.assertIn("order <", out)

    def test_diff(self):
        before = self.log("before.log")
        after = self.write("after.log", "\n".join(lines(3000) + [
            x.replace("added", "could not add").replace("INFO", "ERROR") for x in lines(200, start=3000)]) + "\n")
        status, out, _ = self.run_program("patterns", "diff", "--format", "json", before, after)
        self.assertEqual(status, 0)
        new = json.loads(out)["new"]
        self.assertEqual(len(new), 1)
        self.assertIn("could not add", new[0]["template"])


class Sessions(Scratch):
    def test_sequences(self):
        train = self.write("train", "".join("%d,1 2 2 3 4\n" % i for i in range(200)))
        score = self.write("score", "a,1 2 2 3 4\nb,1 2 9 4\nnot a line\n\nc,1 2 2 3 4\n")
        status, out, err = self.run_program("detect", "sessions", "--sequences", "--train", train, "--score", score)
        self.assertEqual(status, 0, err)
        verdict = {r.split("\t")[0]: r.split("\t")[2] for r in out.splitlines()}
        self.assertEqual(verdict, {"a": "normal", "b": "anomaly", "c": "normal"})
        self.assertIn("line 3", err)

    def test_logs(self):
        def log(keys, odd=()):
            rows = []
            for i, k in enumerate(keys):
                for j, what in enumerate(["opened", "read 4 blocks", "closed"]):
                    if k in odd and what == "closed":
                        what = "aborted: checksum mismatch"
                    rows.append("2026-03-17 08:%02d:%02d INFO store - session s-%d %s" % (i // 60 % 60, i % 60, k, what))
            return "\n".join(rows) + "\n"
        train, score = self.write("train.log", log(range(100, 400))), self.write("score.log", log(range(500, 560), {517}))
        status, out, err = self.run_program("detect", "sessions", "--key", r"session (s-\d+)", "--train", train, "--score", score)
        self.assertEqual(status, 0, err)
        self.assertEqual([r.split("\t")[0] for r in out.splitlines() if "\tanomaly" in r], ["s-517"])

    def test_what_is_missing_is_said(self):
        status, _, err = self.run_program("detect", "sessions", "--train", self.log())
        self.assertEqual(status, USAGE)
        self.assertIn("--score", err)


if __name__ == "__main__":
    harness.main()
