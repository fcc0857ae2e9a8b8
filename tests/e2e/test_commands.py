"""The command line as a person meets it: help, mistakes, exit statuses."""
import subprocess

import harness

COMMANDS = ("analyze", "mine", "patterns diff", "detect sessions", "completion", "version", "help")


class Commands(harness.Case):
    def test_help_of_every_command_goes_to_standard_output(self):
        for command in COMMANDS:
            for args in (["help", *command.split()], [*command.split(), "--help"]):
                status, out, errors = self.run_program(*args)
                self.assertEqual((status, errors), (0, ""), args)
                self.assertIn(f"Usage: faultline {command}", out)

    def test_overview_lists_commands_and_exit_statuses(self):
        status, out, _ = self.run_program("--help")
        self.assertEqual(status, 0)
        for command in COMMANDS:
            self.assertIn("\n  " + command, out)
        for code in range(6):
            self.assertRegex(out, rf"\n  {code} +\w")

    def test_version_is_the_one_of_the_build(self):
        number = (harness.ROOT / "meson.build").read_text().split("version: '")[1].split("'")[0]
        for args in (["version"], ["--version"], ["-V"]):
            status, out, _ = self.run_program(*args)
            self.assertEqual(status, 0)
            self.assertTrue(out.startswith("faultline " + number), out)

    def test_mistakes_are_one_line_and_status_2(self):
        for args, message in (
            ([], "no command was given"),
            (["analyse"], "unknown command 'analyse'"),
            (["analyze", "--fromat", "json"], "unknown option '--fromat'"),
            (["analyze", "--format", "pdf"], "'pdf' is not one of"),
            (["mine", "--top", "many"], "'many' is not a number"),
            (["patterns", "diff", "one"], "patterns diff needs BEFORE AFTER"),
        ):
            status, out, errors = self.run_program(*args)
            self.assertEqual((status, out), (2, ""), args)
            self.assertTrue(errors.startswith("faultline: "), errors)
            self.one_line_about(errors, message)
            self.assertLessEqual(len(errors.splitlines()), 2, "a message and at most one hint")

    def test_suggestion(self):
        _, _, errors = self.run_program("analyze", "--fromat", "json")
        self.assertIn("did you mean '--format'?", errors)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            status, _, errors = self.run_program("--help", stdout=full)
        self.assertEqual(status, 4)
        self.assertEqual(len(errors.splitlines()), 1, errors)

    def test_reader_that_goes_away_is_no_failure(self):
        done = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" help --man | true', harness.PROGRAM],
                              capture_output=True, check=False, timeout=harness.TIMEOUT_S)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


if __name__ == "__main__":
    harness.main()
