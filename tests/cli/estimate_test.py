"""advisor estimate: one point, every number with its interval, or the reason why there is none."""

from cli import CliTest, main

POINT = ["estimate", "--model", "meta-llama/Llama-3.1-8B-Instruct", "--technique", "gptq", "--scheme", "W4A16-g128",
         "--engine", "vllm", "--hardware", "nvidia-a100-sxm4-80gb"]  # fmt: skip


class EstimateVerb(CliTest):
    def estimates(self, *args):
        answer = self.json_of(*args)
        self.assertEqual(answer["schema"], "advisor.estimate/1")
        return answer, {(e["name"], e["task"]): e for e in answer["estimates"]}

    def test_every_number_has_an_interval_and_sources(self):
        _, estimates = self.estimates(*POINT, "--task", "mmlu", "--concurrency", 8)
        for name in ("quality.baseline", "quality.retention", "quality.value"):
            self.assertIn((name, "mmlu"), estimates)
        for name in ("memory.total", "decode_tokens_per_second", "tpot_seconds", "ttft_seconds", "usd_per_hour"):
            self.assertIn((name, None), estimates)
        for key, e in estimates.items():
            self.assertIsNotNone(e["mean"], key)
            self.assertLessEqual(e["low"], e["mean"], key)
            self.assertGreaterEqual(e["high"], e["mean"], key)
            self.assertIn(e["basis"], ("measured", "transferred", "modelled", "prior"), key)
            self.assertTrue(e["sources"], key)

    def test_a_published_point_is_measured(self):
        _, estimates = self.estimates("estimate", "--model", POINT[2], "--scheme", "Q4_K_M", "--task", "mmlu")
        kept = estimates["quality.retention", "mmlu"]
        self.assertEqual(kept["basis"], "measured")
        self.assertIn("llamacpp-unified-eval-2601", kept["sources"])

    def test_defaults_are_printed(self):
        done = self.run_advisor("estimate", "--model", "Qwen/Qwen2.5-7B-Instruct", "--scheme", "Q4_K_M")
        for default in ("technique = gguf-k", "format = gguf", "engine = llama.cpp", "context = 4096", "kv = fp16"):
            self.assertIn(default, done.stdout)
        self.assertIn("unknown: needs a machine: --hardware", done.stdout)

    def test_context_grows_with_the_prompt(self):
        answer, _ = self.estimates(*POINT, "--input", 8000, "--output", 200)
        self.assertEqual(answer["context"], 8200)
        self.refused(*POINT, "--input", 8000, "--context", 4096, expect=2, says=["context 4096", "--input"])

    def test_own_price_wins(self):
        _, estimates = self.estimates(*POINT, "--price", 1.5)
        self.assertEqual(estimates["usd_per_hour", None]["mean"], 1.5)

    def test_a_checkpoint_folder_is_counted_from_its_files(self):
        _, estimates = self.estimates("estimate", "--model", self.tiny)
        weights = sum(p.stat().st_size for p in self.tiny.glob("*.safetensors"))  # bfloat16, and the header
        self.assertAlmostEqual(estimates["memory.weights", None]["mean"] / weights, 1, delta=0.005)

    def test_more_context_needs_more_memory(self):
        means = []
        for context in (4096, 16384, 65536):
            _, estimates = self.estimates(*POINT, "--context", context)
            means.append(estimates["memory.total", None]["mean"])
        self.assertEqual(means, sorted(means))

    def test_refusals(self):
        for args, says in (
            ([], ["--model"]),
            (["--model", "meta-llama/Llama-3.1-9B"], ["Llama-3.1-8B"]),
            (["--model", "gpt2", "--scheme", "W4B16"], ["W4B16"]),
            ([*POINT[1:], "--task", "mmul"], ["mmul", "mmlu"]),
            ([*POINT[1:3], "--technique", "gptp"], ["gptp", "gptq"]),
            ([*POINT[1:3], "--hardware", "nvidia-a100"], ["nvidia-a100", "did you mean"]),
            ([*POINT[1:], "--sparsity", "1.5"], ["--sparsity", "1.5"]),
            ([*POINT[1:], "--level", "1"], ["--level"]),
            ([*POINT[1:], "--price", "-1"], ["--price"]),
            ([*POINT[1:], "--utilisation", "0"], ["--utilisation"]),
            ([*POINT[1:], "--concurrency", "0"], ["concurrency"]),
            ([*POINT[1:3], "--engine", "vlm"], ["vlm", "vllm"]),
            ([*POINT[1:], "--kv", "int5"], ["int5"]),
        ):
            with self.subTest(args=args):
                self.refused("estimate", *args, expect=2, says=says)


if __name__ == "__main__":
    main(__file__)
