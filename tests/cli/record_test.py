"""advisor record: what is stored, what is refused with which message, and that recorded rows reach the advice."""

import json
import os
import subprocess

from cli import CliTest, main

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


class Record(CliTest):
    def setUp(self):
        super().setUp()
        self.samples = self.source / "tests/io/imports"
        self.base, self.quantized = self.samples / "lm_eval_llama.json", self.samples / "lm_eval_llama_w4a16.json"
        self.local = self.folder / "local.db"

    def record(self, *args, **options):
        return self.run_advisor("record", *args, "--local", self.local, **options)

    def record_json(self, *args):
        return self.json_of("record", *args, "--local", self.local)

    def record_refused(self, *args, says):
        """Exit code 2, a message that holds `says`, and nothing stored."""
        before = self.record_json("--list")["recordings"]
        self.refused("record", *args, "--local", self.local, expect=2, says=says)
        self.assertEqual(self.record_json("--list")["recordings"], before)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def test_records_lists_and_takes_back(self):
        answer = self.record_json(self.base, self.quantized)
        self.assertEqual((answer["schema"], answer["action"]), ("advisor.record/1", "recorded"))
        self.assertEqual(answer["database"], str(self.local))
        (recording,) = answer["recordings"]
        self.assertEqual(recording["id"], 1)
        self.assertRegex(recording["date"], r"^\d{4}-\d\d-\d\d$")
        self.assertEqual(len(recording["quality"]), 6)
        self.assertEqual(len(recording["scores"]), 6)
        mmlu = next(row for row in recording["quality"] if row["task"] == "mmlu")
        self.assertEqual((mmlu["model"], mmlu["baseline"], mmlu["value"]), (LLAMA, 0.6802, 0.67))
        self.assertTrue(any(LLAMA in why for why in recording["matched"]))

        listed = self.record_json("--list")
        self.assertEqual(listed["action"], "listed")
        self.assertEqual(listed["recordings"][0]["quality"], recording["quality"])
        self.assertIn("6 quality measurements, 6 uncompressed scores", self.record("--list").stdout)
        self.assertEqual(self.record_json("--undo")["action"], "undone")
        self.assertEqual(self.record_json("--list")["recordings"], [])
        self.record_refused("--undo", says=["nothing is recorded"])

    def test_text_explains_what_was_matched(self):
        text = self.record(self.quantized, "--baseline", self.base, "--note", "first try").stdout
        for part in ("lm-evaluation-harness results", "quantized.w4a16\" is " + LLAMA, "68.02 %", "--undo 1"):
            self.assertIn(part, text)
        self.assertIn("(first try)", self.record("--list").stdout)

    def test_dry_run_stores_nothing(self):
        answer = self.record_json(self.base, "--dry-run")
        self.assertEqual((answer["action"], answer["recordings"][0]["id"]), ("would record", None))
        self.assertFalse(self.local.exists())
        self.assertIn("nothing was stored", self.record(self.base, "--dry-run").stdout)

    def test_undo_by_number(self):
        self.record(self.base)
        self.record(self.samples / "vllm_serve.json", "--hardware", "nvidia-h100-sxm5-80gb")
        self.assertEqual(self.record_json("--undo", "1")["recordings"][0]["id"], 1)
        self.assertEqual([r["id"] for r in self.record_json("--list")["recordings"]], [2])
        self.record_refused("--undo", "7", says=["no recording 7", "--list"])

    def test_speeds_with_options(self):
        (recording,) = self.record_json(
            self.samples / "llama_bench.json", "--model", "mine/tiny", "--params", "1115008", "--hardware",
            "nvidia-rtx-4090-24gb", "--engine-version", "b1"
        )["recordings"]
        row = recording["speed"][0]
        self.assertEqual((row["model"], row["format"], row["engine"]), ("mine/tiny", "Q8_0", "llama.cpp"))
        self.assertEqual((row["params"], row["engine_version"]), (1115008, "b1"))

    def test_refusals_name_what_is_wrong(self):
        whole = self.base.read_text()
        self.record_refused(self.quantized, says=["no uncompressed run of " + LLAMA, "--baseline"])
        self.record_refused(self.write("nan.json", whole.replace("0.7388", "NaN")), says=["nan.json:", "NaN"])
        self.record_refused(self.write("cut.json", whole[: len(whole) // 2]), says=["cut.json", "not valid JSON"])
        self.record_refused(self.write("deep.json", "[" * 100000), says=["deep.json", "nested deeper"])
        self.record_refused(self.write("kind.json", '{"a": 1}'), says=["kind.json", "not the result of a tool"])
        self.record_refused(self.write("empty.json", ""), says=["empty.json", "empty"])
        self.record_refused(self.write("who.json", whole.replace(LLAMA, "who/knows")), says=["who/knows", "--model"])
        self.record_refused(self.write("high.json", whole.replace("0.7388", "73.88")), says=["73.88", "at most 1"])
        self.record_refused(self.folder / "none.json", says=["no such file"])
        self.record_refused(self.folder, says=["not a file"])
        self.record_refused(says=["no result file"])
        self.record_refused(self.base, "--params", "-1", says=["--params must be positive"])
        self.record_refused(self.base, "--task", "=x", says=["KEY=VALUE"])
        self.record_refused(self.base, "--list", says=["alone"])
        self.record_refused(self.samples / "vllm_serve.json", says=["--hardware"])
        self.refused("record", self.base, "--local", "none", expect=2, says=["--local FILE"])
        self.refused("record", self.base, "--local", self.write("text.db", "no database " * 100), expect=2,
                     says=["text.db", "not a database that advisor record made"])

    def test_duplicates_are_refused(self):
        self.record(self.base, self.quantized)
        self.record_refused(self.base, says=["already recorded, as recording 1"])
        self.record_refused(self.base, self.quantized, says=["w4a16.json: already recorded, as recording 1"])
        copy = self.write("copy.json", self.quantized.read_text() + "\n")
        self.record_refused(copy, says=["already recorded", "lm_eval_llama.json"])

    def test_earlier_baseline_is_found(self):
        self.record(self.base)
        (recording,) = self.record_json(self.quantized)["recordings"]
        self.assertEqual((len(recording["quality"]), len(recording["scores"])), (6, 0))

    def test_own_model_with_its_compression_report(self):
        (recording,) = self.record_json(
            self.samples / "lm_eval_tiny.json", self.samples / "lm_eval_tiny_w4a16.json",
            self.samples / "advisor_report.json", "--model", "mine/tiny", "--params", "1.1e6",
            "--task", "tiny=knowledge", "--task", "tiny_prose=language_modelling",
        )["recordings"]
        self.assertEqual({row["scheme"] for row in recording["quality"]}, {"W4A16-g32"})
        self.assertEqual({row["technique"] for row in recording["quality"]}, {"rtn"})

    def test_what_advisor_measured_is_recorded(self):
        out = self.folder / "tiny-w8"
        self.run_advisor("compress", self.tiny, out, "--technique", "rtn", "--scheme", "W8A16-channel")
        for name, model in (("before", self.tiny), ("after", out)):
            report = self.run_advisor("evaluate", model, "--suite", self.suite, "--limit", "20", "--json").stdout
            self.write(name + ".json", report)
        (recording,) = self.record_json(
            self.folder / "before.json", self.folder / "after.json", out / "advisor_report.json",
            "--model", "mine/tiny", "--params", "1.1e6", "--task", "intent=reading",
        )["recordings"]
        self.assertEqual({row["task"] for row in recording["quality"]}, {"prose", "knowledge", "intent"})
        self.assertEqual({row["scheme"] for row in recording["quality"]}, {"W8A16-channel"})

    def recommend(self, local):
        profile = self.write(
            "profile.yaml",
            f"model: {LLAMA}\nhardware: nvidia-rtx-3090-24gb\ntask: {{type: closed_book_qa, benchmark: mmlu}}\n"
            "accuracy: {retain: 0.8}\nallow: {switch: false}\n"
        )
        return self.json_of("recommend", profile, "--local", local)

    def test_recorded_rows_reach_the_advice(self):
        without = self.recommend("none")
        self.assertEqual(self.recommend(self.local), without)  # a file that is not there is no rows
        self.record(self.base, self.quantized, "--technique", "gptq", "--scheme", "W4A16-g128")
        with_rows = self.recommend(self.local)
        self.assertNotEqual(with_rows["knowledge"]["digest"], without["knowledge"]["digest"])
        self.assertIn("local:1", json.dumps(with_rows))
        self.assertEqual(self.recommend(self.local), with_rows)
        self.record("--undo")
        self.assertEqual(self.recommend(self.local), without)

    def test_default_places(self):
        def path_of(**variables):
            environment = {k: v for k, v in os.environ.items() if not k.startswith(("ADVISOR_", "XDG_"))}
            environment.update({k: str(v) for k, v in variables.items()})
            done = subprocess.run([self.advisor, "record", "--list", "--json"], env=environment, capture_output=True,
                                  text=True, timeout=60, check=True)
            return json.loads(done.stdout)["database"]

        home = self.folder / "home"
        self.assertEqual(path_of(HOME=home), str(home / ".local/share/advisor/local.db"))
        self.assertEqual(path_of(HOME=home, XDG_DATA_HOME=self.folder), str(self.folder / "advisor/local.db"))
        self.assertEqual(path_of(HOME=home, ADVISOR_LOCAL=self.local), str(self.local))
        self.assertFalse(home.exists())

    def test_writers_at_once(self):
        runs = []
        for i in range(4):
            path = self.write(f"run{i}.json", (self.samples / "vllm_serve.json").read_text().replace("413.95", f"41{i}.95"))
            runs.append(subprocess.Popen(
                [self.advisor, "record", path, "--local", self.local, "--hardware", "nvidia-h100-sxm5-80gb",
                 "--engine-version", f"0.{i}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        for run in runs:
            _, error = run.communicate(timeout=120)
            self.assertEqual(run.returncode, 0, error)
        recordings = self.record_json("--list")["recordings"]
        self.assertEqual([r["id"] for r in recordings], [1, 2, 3, 4])
        self.assertEqual([len(r["speed"]) for r in recordings], [5, 5, 5, 5])


if __name__ == "__main__":
    main(__file__)
