"""The verbs as users' scripts call them: JSON keys, exit codes, help."""

import hashlib
import os
import pathlib
import signal
import subprocess

from cli import CliTest, main


def digests(folder):
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(pathlib.Path(folder).rglob("*"))
        if p.is_file() and p.name != "advisor_report.json"  # the report holds the time it took
    }


class Verbs(CliTest):
    def profile(self, text):
        path = self.folder / "profile.yaml"
        path.write_text(text)
        return path

    def test_help_of_every_command(self):
        self.assertIn("exit codes", self.run_advisor("--help").stdout)
        for command in ("recommend", "compress", "evaluate", "catalog", "probe", "record", "backtest", "estimate"):
            self.assertIn("usage: advisor " + command, self.run_advisor(command, "--help").stdout)
        self.assertRegex(self.run_advisor("--version").stdout, r"^advisor \d+\.\d+\.\d+$")

    def test_recommend_json(self):
        answer = self.json_of("recommend", self.source / "examples/profiles/first-light.yaml", cwd=self.source)
        self.assertEqual(answer["schema"], "advisor.recommendation/1")
        self.assertEqual((answer["outcome"], answer["verdict"]), ("recommended", "compress"))
        best = answer["options"][0]
        for key in ("rank", "action", "model", "technique", "scheme", "format", "engine", "estimates", "recipe", "decided_by"):
            self.assertIn(key, best)
        self.assertLessEqual(best["estimates"]["memory"]["bytes"], best["estimates"]["memory"]["available"])
        self.assertTrue(answer["rejections"] and all(r["because"] for r in answer["rejections"]))
        self.assertIn("workload.concurrency", answer["defaults"])

    def test_every_example_profile_has_an_answer(self):
        for profile in sorted((self.source / "examples/profiles").glob("*.yaml")):
            done = subprocess.run([self.advisor, "recommend", profile], cwd=self.source, capture_output=True, text=True)
            self.assertIn(done.returncode, (0, 1, 3), f"{profile}: {done.stderr}")
            self.assertIn("Defaults applied", done.stdout)

    def test_exit_codes_of_answers(self):
        impossible = "model: meta-llama/Llama-3.1-405B-Instruct\nhardware: {id: nvidia-rtx-4090-24gb}\n"
        impossible += "task: {type: chat}\nallow: {switch: false}\n"
        answer = self.json_of("recommend", self.profile(impossible), expect=1)
        self.assertEqual((answer["outcome"], answer["verdict"]), ("infeasible", None))
        self.assertTrue(all(r["code"] for r in answer["rejections"]))

    def test_set_overrides_the_file(self):
        profile = self.profile(
            "model: meta-llama/Llama-3.1-8B-Instruct\nhardware: nvidia-a100-sxm4-80gb\ntask: {type: chat}\n"
        )
        self.run_advisor("recommend", profile)
        self.run_advisor("recommend", profile, "--set", "hardware.id=", "--set", "hardware.memory=1 GiB",
                         "--set", "allow.switch=false", expect=1)

    def test_same_question_same_bytes(self):
        profile = self.source / "examples/profiles/first-light.yaml"
        first, second = (self.run_advisor("recommend", profile, "--json", cwd=self.source).stdout for _ in range(2))
        self.assertEqual(first, second)

    def test_compress_then_evaluate(self):
        out = self.folder / "out"
        plan = self.json_of("compress", self.tiny, out, "--scheme", "W8A16-channel", "--dry-run")
        self.assertFalse(out.exists())
        self.assertGreater(plan["disk_free"], plan["output_bytes"])
        self.assertIn("vllm", plan["outputs"][0]["engines"])
        report = self.json_of("compress", self.tiny, out, "--scheme", "W8A16-channel")
        self.assertEqual(report["schema"], "advisor.compression/1")
        self.assertTrue((out / "advisor_report.json").exists() and (out / "tokenizer.json").exists())
        before, after = (self.json_of("evaluate", m, "--suite", self.suite) for m in (self.tiny, out))
        self.assertEqual(before["schema"], "advisor.evaluation/1")
        self.assertAlmostEqual(after["perplexity"]["value"] / before["perplexity"]["value"], 1, delta=0.01)
        for choice in after["choices"]:
            self.assertTrue(choice["low"] <= choice["accuracy"] <= choice["high"])
            self.assertGreater(choice["n"], 0)

    def test_bytes_do_not_depend_on_threads(self):
        for name, threads in (("a", 1), ("b", 2)):
            self.run_advisor("compress", self.tiny, self.folder / name, "--scheme", "W4A16-g32-asym", "--param", "clip=mse",
                             "--format", "compressed-tensors,gguf:Q4_0", "--threads", threads)
        first, second = digests(self.folder / "a"), digests(self.folder / "b")
        self.assertEqual(first, second)
        self.assertTrue(any(name.endswith(".gguf") for name in first))

    def test_engines_in_the_plan(self):
        def plan(scheme, out):
            done = self.json_of("compress", self.tiny, self.folder / "out", "--scheme", scheme, "--format", out, "--dry-run")
            return done["outputs"][0]

        for kind in ("F16", "BF16", "F32", "Q8_0", "Q5_K_M", "Q2_K_S", "IQ4_XS"):
            output = plan("W8A16-channel", "gguf:" + kind)
            self.assertIn("llama.cpp", output["engines"], kind)
            self.assertIn("CPU", output["hardware"]["llama.cpp"], kind)
        mxfp4 = plan("W4A4-mxfp4", "compressed-tensors")["hardware"]
        self.assertEqual(mxfp4["vllm"], ["Blackwell"])
        self.assertNotIn("llama.cpp", mxfp4)
        fp8 = plan("W8A8-fp8-channel", "compressed-tensors")["hardware"]
        self.assertNotIn("Ampere", fp8["vllm"], "INT8 of the same widths is another scheme")
        self.assertIn("Hopper", fp8["vllm"])
        for scheme, out in (("W2A16-g64", "compressed-tensors"), ("W3A16-g64", "gptq")):
            self.assertEqual(plan(scheme, out)["engines"], [], scheme)
        text = self.run_advisor("compress", self.tiny, self.folder / "out", "--scheme", "W2A16-g64", "--dry-run")
        self.assertIn("no engine known to load it", text.stdout)

    def test_gguf_reads_back(self):
        out = self.folder / "gguf"
        self.run_advisor("compress", self.tiny, out, "--format", "gguf:Q8_0")
        before, after = (
            self.json_of("evaluate", m, "--choices", self.suite / "intent.jsonl") for m in (self.tiny, out)
        )
        self.assertEqual(after["choices"][0]["n"], before["choices"][0]["n"])
        self.assertAlmostEqual(after["choices"][0]["accuracy"], before["choices"][0]["accuracy"], delta=0.05)

    def test_interrupt_leaves_nothing(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ADVISOR_")}
        out = self.folder / "out"
        job = subprocess.Popen(
            [self.advisor, "evaluate", self.tiny, "--suite", self.suite], env=environment, stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        job.stderr.readline()  # progress has begun
        job.send_signal(signal.SIGINT)
        _, messages = job.communicate(timeout=60)
        self.assertIn(job.returncode, (0, 4))  # 0: it had just finished
        if job.returncode == 4:
            self.assertIn(b"cancel", messages)
        self.assertFalse(out.exists())

    def test_catalogs(self):
        for kind in ("models", "hardware", "techniques", "engines", "tasks", "prices", "checkpoints", "sources", "rules", "fields"):
            rows = self.json_of("catalog", kind)
            self.assertGreater(len(rows), 5, kind)
        names = [row["model"] for row in self.json_of("catalog", "models", "llama-3.1-8b")]
        self.assertIn("meta-llama/Llama-3.1-8B-Instruct", names)
        self.refused("catalog", "modles", expect=2, says=["modles", "models"])

    def test_probe(self):
        probe = self.json_of("probe")
        self.assertGreater(probe["cpu"]["memory"], 1e8)
        self.assertGreater(probe["cpu"]["bandwidth"], 1e8)
        self.assertGreaterEqual(probe["cores"], 1)


if __name__ == "__main__":
    main(__file__)
