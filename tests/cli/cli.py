"""Runs the command for the tests of this folder; python3's standard library only."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest


def main(module_file):
    """usage: x_test.py ADVISOR SOURCE_DIR"""
    CliTest.advisor, CliTest.source = sys.argv[1], pathlib.Path(sys.argv[2])
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)


class CliTest(unittest.TestCase):
    advisor = ""
    source = pathlib.Path()

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="advisor-cli-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.tiny = self.source / "examples/models/tiny"
        self.suite = self.source / "examples/suites/tiny"

    def run_advisor(self, *args, expect=0, **options):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ADVISOR_")}
        environment["ADVISOR_LOCAL"] = "none"  # not the developer's own results
        done = subprocess.run(
            [self.advisor, *map(str, args)], capture_output=True, text=True, env=environment, timeout=240, **options
        )
        self.assertEqual(done.returncode, expect, f"{args}\n{done.stdout}\n{done.stderr}")
        return done

    def json_of(self, *args, **options):
        return json.loads(self.run_advisor(*args, "--json", **options).stdout)

    def refused(self, *args, expect, says, **options):
        """Exit code, one clear message that holds every text of `says`, nothing on standard output."""
        done = self.run_advisor(*args, expect=expect, **options)
        messages = [line for line in done.stderr.splitlines() if line.startswith("advisor: ")]
        self.assertEqual(len(messages), 1, done.stderr)
        for text in says:
            self.assertIn(text, messages[0])
        self.assertEqual(done.stdout, "")
        return messages[0]
