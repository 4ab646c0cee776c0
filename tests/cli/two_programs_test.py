"""`advisor` hands over to `advisor-work` what it cannot do itself (docs/adr/0011), and nobody notices."""

import json
import os
import pathlib
import shutil
import subprocess

from cli import CliTest, main

POINT = ["estimate", "--model", "Qwen/Qwen3-8B", "--scheme", "W4A16-g128", "--task", "mmlu"]


class TwoPrograms(CliTest):
    def setUp(self):
        super().setUp()
        self.work = pathlib.Path(self.advisor).resolve().parent / "../libexec/advisor/advisor-work"

    def alone(self):
        """A copy of `advisor` without the other program, with the knowledge beside it."""
        build = pathlib.Path(self.advisor).resolve().parents[1]
        (self.folder / "bin").mkdir()
        shutil.copy(self.advisor, self.folder / "bin/advisor")
        (self.folder / "share").symlink_to(build / "share")
        return self.folder / "bin/advisor"

    def test_both_say_the_same(self):
        for args in (POINT, ["catalog", "engines", "--json"], [*POINT, "--help"], ["estimate", "--modle", "x"]):
            light, work = (
                subprocess.run([program, *args], capture_output=True, text=True) for program in (self.advisor, self.work)
            )
            self.assertEqual((light.returncode, light.stdout, light.stderr),
                             (work.returncode, work.stdout, work.stderr), args)

    def test_without_the_other_program(self):
        advisor = self.alone()
        point = subprocess.run([advisor, *POINT], capture_output=True, text=True)
        self.assertEqual((point.returncode, point.stdout), (0, self.run_advisor(*POINT).stdout), point.stderr)
        for args in (["compress", self.tiny, self.folder / "out"], ["estimate", "--model", self.tiny], ["--help"]):
            done = subprocess.run([advisor, *args], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (4, ""), args)
            self.assertRegex(done.stderr, r"^advisor: .*libexec/advisor/advisor-work: No such file .*install .*\n$")

    def test_a_checkpoint_folder_and_a_program_found_through_path(self):
        answer = self.json_of("estimate", "--model", self.tiny, "--scheme", "W8A16-channel")
        self.assertIn("memory.weights", json.dumps(answer))
        # Found through PATH, and nothing of the program's name in the current folder confuses it.
        (self.folder / "advisor").mkdir()
        environment = {**os.environ, "PATH": f"{pathlib.Path(self.advisor).resolve().parent}:{os.environ['PATH']}"}
        for args in (POINT, ["estimate", "--model", str(self.tiny)], ["--version"]):
            done = subprocess.run(["advisor", *args], cwd=self.folder, env=environment, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), args)

    def test_through_a_link(self):
        (self.folder / "link").symlink_to(pathlib.Path(self.advisor).resolve())
        for args in (POINT, ["--version"]):
            done = subprocess.run([self.folder / "link", *args], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), args)

    def test_kernel_target_is_checked_as_ever(self):
        for target, code in (("SCALAR", 0), ("nonsense", 2)):
            done = subprocess.run([self.advisor, *POINT], env={**os.environ, "ADVISOR_KERNEL_TARGET": target},
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn("no kernel target 'nonsense'", done.stderr)

    def test_a_profile_that_names_a_folder(self):
        profile = self.folder / "profile.json"
        profile.write_text(json.dumps({"model": str(self.tiny), "task": {"type": "chat"},
                                       "hardware": {"memory": "8 GiB", "bandwidth": "100 GB/s"}}))
        texts = set()
        for program in (self.advisor, self.work):
            done = subprocess.run([program, "recommend", profile, "--json"], capture_output=True, text=True)
            self.assertIn(done.returncode, (0, 1, 3), done.stderr)
            texts.add(done.stdout)
        self.assertEqual(len(texts), 1)


if __name__ == "__main__":
    main(__file__)
