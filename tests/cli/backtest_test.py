"""advisor backtest: keys that scripts read, the same rows from a file as from the database, refusals."""

import csv
import xml.etree.ElementTree as xml

from cli import CliTest, main

QUALITY = "data/measurements/quality/hf-blog-autoround.csv"
SPEED = "data/measurements/speed/autoawq-pr320.csv"


class Backtest(CliTest):
    def backtest(self, *args):
        return self.json_of("backtest", *args)

    def check_score(self, score):
        for key in ("n", "predicted", "mae", "median_ae", "bias", "coverage", "baseline_mae", "baseline_median_ae"):
            self.assertIn(key, score)
        self.assertGreaterEqual(score["n"], score["predicted"])
        if score["predicted"]:
            cover = score["coverage"]
            self.assertTrue(0 <= cover["50"] <= cover["80"] <= cover["90"] <= 1)
            self.assertGreater(score["width_90"], 0)

    def test_json_of_quality_and_speed(self):
        answer = self.backtest(self.source / QUALITY, self.source / SPEED)
        self.assertEqual(answer["schema"], "advisor.backtest/1")
        self.assertEqual(answer["overall"]["measure"], "accuracy")
        unscored = sum(reason["rows"] for reason in answer["not_scored"])
        self.assertEqual(answer["rows"], answer["scored"] + unscored)
        self.assertEqual(sum(kind["n"] for kind in answer["kinds"]), answer["scored"])
        self.assertEqual(answer["folds"], 2)
        for score in [answer["overall"], *answer["kinds"], *answer["groups"]]:
            self.check_score(score)
        self.assertIn(("source", "hf-blog-autoround"), {(g["by"], g["value"]) for g in answer["groups"]})
        self.assertTrue(any(g["by"] == "engine" for g in answer["groups"]))

    def test_source_column_and_spellings_change_nothing(self):
        """The compiled tables have a column source_id, 1 and 0, and no scale."""
        with open(self.source / QUALITY, newline="") as file:
            rows = list(csv.DictReader(file))
        compiled = self.folder / "compiled.csv"
        with open(compiled, "w", newline="") as file:
            columns = ["source_id"] + [c for c in rows[0] if c not in ("scale", "sparsity_of")]
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            for row in rows:
                higher = "1" if row["higher_is_better"] == "yes" else "0"
                writer.writerow({**row, "source_id": "hf-blog-autoround", "higher_is_better": higher})
        self.assertEqual(self.backtest(compiled), self.backtest(self.source / QUALITY))

    def test_threads_and_rows(self):
        outputs = [self.folder / "one.csv", self.folder / "two.csv"]
        answers = [
            self.backtest(self.source / QUALITY, self.source / SPEED, "--threads", threads, "--rows", rows)
            for threads, rows in zip((1, 2), outputs)
        ]
        self.assertEqual(*answers)
        self.assertEqual(outputs[0].read_bytes(), outputs[1].read_bytes())
        rows = list(csv.DictReader(outputs[0].open(newline="")))
        self.assertEqual(len(rows), answers[0]["scored"])
        for row in rows:
            if row["predicted"]:
                self.assertTrue(float(row["low_90"]) < float(row["predicted"]) < float(row["high_90"]))

    def test_rows_of_an_unknown_source_are_scored_too(self):
        unknown = self.folder / "somebody.csv"
        unknown.write_bytes((self.source / SPEED).read_bytes())
        answer = self.backtest(unknown)
        self.assertEqual(answer["overall"]["measure"], "speed")
        self.assertEqual({g["value"] for g in answer["groups"] if g["by"] == "source"}, {"somebody"})

    def test_by_model(self):
        answer = self.backtest(self.source / SPEED, "--by", "model")
        self.assertEqual(answer["left_out"], "model")

    def test_text_and_markdown(self):
        text = self.run_advisor("backtest", self.source / QUALITY, "--group", "family").stdout
        for part in ("accuracy, quantized", "by task_family", "log score", "MAE base", "80 %"):
            self.assertIn(part, text)
        markdown = self.run_advisor("backtest", self.source / QUALITY, "--format", "markdown").stdout
        self.assertIn("| accuracy, quantized |", markdown)

    def test_what_cannot_be_mapped_is_counted_and_cannot_break_a_table(self):
        rows = (self.source / SPEED).read_text().splitlines()
        strange = self.folder / "strange.csv"
        strange.write_text("\n".join([rows[0], rows[1].replace("nvidia-a100-sxm4-80gb", "a|b card"), *rows[2:]]) + "\n")
        reasons = {r["reason"]: r["rows"] for r in self.backtest(strange)["not_scored"]}
        self.assertEqual(reasons['hardware "a|b card" is in no vocabulary'], 1)
        self.assertIn(r"a\|b card", self.run_advisor("backtest", strange, "--format", "markdown").stdout)

    def test_plots(self):
        self.run_advisor("backtest", self.source / QUALITY, "--plots", self.folder / "new/plots")
        names = {p.name for p in (self.folder / "new/plots").iterdir()}
        self.assertEqual(names, {"accuracy_calibration.svg", "accuracy_scatter.svg"})
        for name in names:
            root = xml.parse(self.folder / "new/plots" / name).getroot()
            texts = "".join(root.itertext())
            self.assertIn("n = ", texts)
            self.assertIn("%", texts)
        points = xml.parse(self.folder / "new/plots/accuracy_scatter.svg").findall(".//{*}circle")
        self.assertGreater(len(points), 10)

    def test_refusals(self):
        bad = self.folder / "bad.csv"
        bad.write_text("a,b\n1,2\n")
        self.refused("backtest", bad, expect=2, says=["bad.csv:1", "neither quality", "nor speed"])
        bad.write_text((self.source / SPEED).read_text().replace(",93.0104,", ",fast,"))
        self.refused("backtest", bad, expect=2, says=["bad.csv:2:", "column value", '"fast" is not a number'])
        self.refused("backtest", self.folder / "none.csv", expect=2, says=["none.csv", "cannot be opened"])
        self.refused("backtest", "--by", "day", expect=2, says=["--by", "source", "model"])
        self.refused("backtest", "--group", "tecnique", expect=2, says=["tecnique", "technique"])
        self.refused("backtest", "--format", "pdf", expect=2, says=["text, markdown or json"])
        self.refused("backtest", "--threads", "-1", expect=2, says=["--threads"])
        file = self.folder / "file"
        file.write_text("")
        self.refused("backtest", self.source / SPEED, "--plots", file / "below", expect=4, says=["file/below"])
        self.refused("backtest", self.source / SPEED, "--rows", file / "x.csv", expect=4, says=["cannot be written"])


if __name__ == "__main__":
    main(__file__)
