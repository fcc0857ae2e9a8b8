"""The shipped incidents, whole: each must give its expected root cause, its quiet twin nothing."""
import datetime
import json
import os
import subprocess
import sys
import tempfile
import unittest

import harness

EXAMPLES = harness.ROOT / "examples"


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="faultline-examples-")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def report(self, incident, *args, seed=7, quiet=False):
        folder = os.path.join(self.scratch.name, "%s-%d-%d" % (incident, seed, quiet))
        if not os.path.isdir(folder):
            subprocess.run([sys.executable, os.path.join(EXAMPLES, "generate.py"), incident, folder, "--seed", str(seed)]
                           + (["--quiet"] if quiet else []), check=True, capture_output=True)
        p = subprocess.run([harness.PROGRAM, "analyze", "--format", "json", *args, folder], capture_output=True, timeout=300)
        self.assertEqual(p.returncode, 0, p.stderr)
        return json.loads(p.stdout)

    def check(self, incident, seed=7):
        with open(os.path.join(EXAMPLES, incident + ".expected.json")) as f:
            want = json.load(f)
        got = self.report(incident, seed=seed)
        self.assertIs(got["is_anomaly"], True)
        self.assertIn(got["first_failure"]["entity"], want["first_failing"])
        self.assertIn(got["anomaly_type"], want["anomaly_types"])
        for service in want["affected_services"]:
            self.assertIn(service, got["affected_services"] + [got["root_cause_service"]])
        off = abs(instant(got["onset"]) - instant(want["onset"]))
        self.assertLessEqual(off, want["onset_within_s"])
        quotes = "\n".join(x["text"] for x in got["evidence"])
        for text in want["evidence_contains"]:
            self.assertIn(text, quotes)
        self.assertTrue(got["remediation_steps"])
        # With the rule base emptied the first failing component and the order of failures still stand.
        bare = self.report(incident, "--no-builtin-rules", seed=seed)
        self.assertEqual(bare["first_failure"]["entity"], got["first_failure"]["entity"])
        self.assertEqual([s["entity"] for s in bare["order_of_failures"]], [s["entity"] for s in got["order_of_failures"]])

    def check_quiet(self, incident):
        got = self.report(incident, quiet=True)
        self.assertIs(got["is_anomaly"], False, got.get("findings"))

    def test_order_service(self):
        self.check("order-service")

    def test_order_service_other_seed(self):
        self.check("order-service", seed=23)

    def test_memory_leak(self):
        self.check("memory-leak")

    def test_memory_leak_other_seed(self):
        self.check("memory-leak", seed=23)

    def test_certificate(self):
        self.check("certificate")

    def test_certificate_other_seed(self):
        self.check("certificate", seed=23)

    def test_order_service_quiet(self):
        self.check_quiet("order-service")

    def test_memory_leak_quiet(self):
        self.check_quiet("memory-leak")

    def test_certificate_quiet(self):
        self.check_quiet("certificate")


if __name__ == "__main__":
    harness.main()
