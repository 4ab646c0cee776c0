"""advisor catalog: lists, filters, cards; what it refuses."""

import csv
import io

from cli import CliTest, main

KINDS = (
    "models hardware engines support formats techniques tasks families metrics quality speed scores prices api-prices "
    "checkpoints sources rules fields"
).split()


class Catalog(CliTest):
    def rows(self, *args):
        return self.json_of("catalog", *args)

    def test_every_kind_has_rows_and_fits_a_terminal(self):
        for kind in KINDS:
            done = self.run_advisor("catalog", kind, "--limit", "5")
            lines = done.stdout.splitlines()
            self.assertIn(len(lines), range(2, 7), kind)
            self.assertRegex(done.stderr, r"^\d+( of \d+)? " + kind + "\n$")
        self.assertIn("quality", self.run_advisor("catalog", "--help").stdout)

    def test_filters(self):
        models = self.rows("models", "--min-params", "7B", "--max-params", "20B", "--developer", "Meta")
        self.assertGreater(len(models), 3)
        self.assertTrue(all(7 <= m["params_b"] <= 20 and m["developer"] == "Meta" for m in models))
        mmlu = self.rows("quality", "--task", "mmlu", "--technique", "gptq")
        self.assertTrue(mmlu)
        self.assertEqual({(q["task"], q["technique"]) for q in mmlu}, {("mmlu", "gptq")}, "the whole name wins")
        part = self.rows("scores", "--task", "truthfulqa_")
        self.assertTrue(part and all("truthfulqa_" in s["task"] for s in part), "part of a name, as none is just that")
        self.assertEqual(self.rows("models", "no model is called so"), [])
        text = [m["model"] for m in self.rows("models", "LLAMA-3.1-8B")]
        self.assertIn("meta-llama/Llama-3.1-8B-Instruct", text)

    def test_sort_limit_columns(self):
        best = self.rows("scores", "--task", "gpqa_diamond", "--sort", "-value", "--limit", "7", "--columns", "model,value")
        self.assertEqual(len(best), 7)
        self.assertEqual([list(row) for row in best], [["model", "value"]] * 7)
        values = [row["value"] for row in best]
        self.assertEqual(values, sorted(values, reverse=True))
        sizes = [row["params_b"] for row in self.rows("models", "--sort", "params_b")]
        known = [size for size in sizes if size is not None]
        self.assertEqual(known, sorted(known))
        self.assertEqual(sizes[: len(known)], known, "what is not known comes last")
        header = self.run_advisor("catalog", "models", "--columns", "all", "--limit", "1").stdout.splitlines()[0]
        self.assertIn("kv_heads", header)

    def test_csv_holds_what_json_holds(self):
        text = self.run_advisor("catalog", "sources", "--csv").stdout
        table = list(csv.DictReader(io.StringIO(text)))
        rows = self.rows("sources")
        self.assertEqual([row["source"] for row in table], [row["source"] for row in rows])
        self.assertEqual([row["title"] for row in table], [row["title"] or "" for row in rows])

    def card(self, thing):
        return self.json_of("catalog", "show", thing)[0]

    def test_show(self):
        model = self.card("meta-llama/Llama-3.1-8B-Instruct")
        self.assertEqual((model["kind"], model["fields"]["layers"]), ("model", 32))
        for section in ("scores, uncompressed", "quality measurements", "speed measurements", "published checkpoints"):
            self.assertTrue(model[section], section)
        summary = model["quality measurements"]
        measured = self.rows("quality", "--model", "meta-llama/Llama-3.1-8B-Instruct")
        self.assertEqual(sum(row["rows"] for row in summary), len(measured))
        self.assertTrue(all(row["sources"] for row in summary))
        self.assertEqual(self.card("llama-3.1-8b-instruct")["id"], model["id"], "without owner and case")
        for thing, kind, section in (
            ("nvidia-h100-sxm5-80gb", "hardware", "speed measurements"),
            ("gptq", "technique", "quality measurements"),
            ("vllm", "engine", "engine support"),
            ("mmlu", "task", "scores, uncompressed"),
            ("autoround-paper-acc", "source", "quality measurements"),
            ("compressed-tensors", "format", "published checkpoints"),
            ("knowledge", "family", "tasks"),
            ("tpot_ms", "metric", "speed measurements"),
        ):
            cards = {card["kind"]: card for card in self.json_of("catalog", "show", thing)}
            self.assertIn(kind, cards, thing)
            self.assertTrue(cards[kind][section], thing)
        self.assertEqual(self.card("context-beyond-model")["kind"], "rule")
        self.assertEqual(self.card("workload.context")["kind"], "field")
        checkpoint = self.rows("checkpoints", "--limit", "1")[0]["checkpoint"]
        self.assertEqual(self.card(checkpoint)["kind"], "checkpoint")

    def test_show_has_other_spellings_and_the_source_of_hardware(self):
        hardware = self.card("nvidia-a100-sxm4-80gb")
        self.assertTrue(hardware["fields"]["source"].startswith("https://"))
        self.assertIn("nvidia-a100-80gb-unspecified", [row["name"] for row in hardware["also called"]])
        self.assertIn("aime24", [row["name"] for row in self.card("aime_2024")["also called"]])

    def test_an_id_of_several_kinds_shows_all(self):
        kinds = [card["kind"] for card in self.json_of("catalog", "show", "gptq")]
        self.assertEqual(sorted(kinds), ["format", "technique"])
        text = self.run_advisor("catalog", "show", "gptq").stdout
        self.assertIn("technique gptq\n", text)
        self.assertIn("sources of these rows", text)

    def test_fields_of_tasks_and_of_what_is_asked_about(self):
        fields = {row["field"]: row for row in self.rows("fields")}
        for field in ("tasks.<n>.share", "tasks.<n>.task.type", "tasks.<n>.accuracy.retain", "consider.<n>.scheme",
                      "consider.<n>.technique", "workload.context"):
            self.assertTrue(fields[field]["meaning"], field)
        self.assertEqual(fields["tasks.<n>.share"]["default"], "1")

    def test_refusals(self):
        self.refused("catalog", "modles", expect=2, says=["modles", "models"])
        self.refused("catalog", expect=2, says=["what"])
        self.refused("catalog", "show", expect=2, says=["needs an id"])
        self.refused("catalog", "show", "gtpq", expect=2, says=["gtpq", "gptq"])
        self.refused("catalog", "hardware", "--task", "mmlu", expect=2, says=["--task", "columns: hardware"])
        self.refused("catalog", "hardware", "--min-params", "7B", expect=2, says=["--min-params", "params_b"])
        self.refused("catalog", "models", "--min-params", "seven", expect=2, says=["seven", "7B"])
        self.refused("catalog", "models", "--sort", "parms_b", expect=2, says=["--sort", "params_b"])
        self.refused("catalog", "models", "--columns", "model,colour", expect=2, says=["--columns", "colour"])
        self.refused("catalog", "models", "--limit", "-1", expect=2, says=["--limit"])
        self.refused("catalog", "models", "--json", "--csv", expect=2, says=["--json and --csv"])


if __name__ == "__main__":
    main(__file__)
