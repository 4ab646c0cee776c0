"""From a recommendation to a measured model: recommend --out, explain, diff, apply, and the shipped JSON Schema."""

import json
import shlex
import unittest

from cli import CliTest, main

try:
    import jsonschema
except ImportError:  # Debian's python3-jsonschema, in tools/packages.txt
    jsonschema = None

FITS_NOWHERE = """model: meta-llama/Llama-3.1-405B-Instruct
hardware: {id: nvidia-rtx-4090-24gb}
task: {type: chat}
allow: {switch: false}
"""
FITS_AS_IT_IS = """model: meta-llama/Llama-3.1-8B-Instruct
hardware: {id: nvidia-a100-sxm4-80gb}
task: {type: chat}
engine: vllm
allow: {switch: false, compress: false}
"""


class Decision(CliTest):
    first_light = "examples/profiles/first-light.yaml"

    def recommendation(self, *settings, name="r.json", expect=0, profile=None):
        text = self.run_advisor("recommend", profile or self.first_light, "--json", *settings, cwd=self.source, expect=expect)
        path = self.folder / name
        path.write_text(text.stdout)
        return path

    def profile(self, text):
        path = self.folder / "profile.yaml"
        path.write_text(text)
        return path

    @unittest.skipIf(jsonschema is None, "python3-jsonschema is not installed")
    def test_answers_follow_the_shipped_schema(self):
        schema = json.loads((self.source / "data/schema/recommendation-1.json").read_text())
        validator = jsonschema.Draft202012Validator(schema)
        validator.check_schema(schema)
        validator.validate(json.loads(self.recommendation().read_text()))
        infeasible = self.recommendation(profile=self.profile(FITS_NOWHERE), expect=1)
        validator.validate(json.loads(infeasible.read_text()))
        for profile in sorted((self.source / "examples/profiles").glob("*.yaml")):
            done = json.loads(self.run_any("recommend", profile, "--json", cwd=self.source))
            validator.validate(done)
        broken = json.loads(infeasible.read_text())
        del broken["rejections"][0]["because"]
        self.assertFalse(validator.is_valid(broken))

    def run_any(self, *args, **options):
        for code in (0, 1, 3):
            try:
                return self.run_advisor(*args, expect=code, **options).stdout
            except AssertionError as error:
                last = error
        raise last

    def test_out_writes_a_whole_folder(self):
        out = self.folder / "answer"
        self.run_advisor("recommend", self.first_light, "--out", out, cwd=self.source)
        names = {p.name for p in out.iterdir()}
        self.assertLessEqual({"recommendation.json", "recommendation.md", "option-1.recipe.yaml", "option-1.launch.sh"}, names)
        self.assertTrue((out / "recommendation.md").read_text().startswith("# COMPRESS "))
        self.refused("recommend", self.first_light, "--out", out, cwd=self.source, expect=2, says=["exists already"])
        self.run_advisor("recommend", self.first_light, "--out", out, "--overwrite", cwd=self.source)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["answer"])
        explained = self.run_advisor("explain", out).stdout
        self.assertTrue(explained.startswith("COMPRESS "))

    def test_explain_adds_nothing(self):
        path = self.recommendation()
        words = self.run_advisor("recommend", self.first_light, cwd=self.source).stdout
        self.assertEqual(self.run_advisor("explain", path).stdout, words)
        self.assertEqual(self.run_advisor("explain", "-", input=path.read_text()).stdout, words)
        self.assertEqual(self.run_advisor("explain", path, "--json").stdout, path.read_text())
        option = self.run_advisor("explain", path, "--option", 1).stdout
        for text in ("Option 1: compress", "Estimates", "basis", "sources", "Recipe", "Commands"):
            self.assertIn(text, option)
        self.assertIn("| estimate |", self.run_advisor("explain", path, "--option", 1, "--markdown").stdout)
        self.assertEqual(len(self.json_of("explain", path, "--option", 1)["options"]), 1)

    def test_diff_says_what_changed(self):
        before = self.recommendation()
        after = self.recommendation("--set", "hardware.memory=64 MiB", name="after.json")
        text = self.run_advisor("diff", before, after).stdout
        self.assertIn("recommended, compress -> recommended, keep", text)
        self.assertIn("hardware.memory", text)
        changes = self.json_of("diff", before, after)
        self.assertEqual(changes["schema"], "advisor.diff/1")
        self.assertTrue(any(row["field"] == "hardware.memory" for row in changes["sections"][0]["rows"]))
        self.assertIn("Nothing differs", self.run_advisor("diff", before, before).stdout)

    def test_apply_makes_and_measures_the_model(self):
        path, out = self.recommendation(), self.folder / "out"
        done = self.json_of("apply", path, "--model", self.tiny, "--out", out, "--suite", self.suite)
        self.assertEqual(done["schema"], "advisor.application/1")
        output = done["compression"]["outputs"][0]
        self.assertLess(output["worst_relative_error"], 0.02)
        self.assertTrue(all(t["relative_error"] <= t["budget"] for t in output["tensors"]))
        for report in ("before", "after"):
            self.assertTrue(done[report]["choices"])
        self.assertIn(str(out), done["launch_command"])
        kept = json.loads(path.read_text())["options"][0]["estimates"]["quality"]["retention"]
        for old, new in zip(done["before"]["choices"], done["after"]["choices"]):
            # what was promised holds within what so few questions can tell
            self.assertGreaterEqual(new["high"], kept["low"] * old["low"])
        self.refused("apply", path, "--model", self.tiny, "--out", out, expect=2, says=["exists"])

    #: engine, and what is wanted of it: technique, scheme, cache; by which technique and scheme or type of the backend;
    #: whether it needs a text
    made_here = [
        ("vllm", "rtn", "W4A16-g128", "fp16", "rtn", "W4A16-g128", False),
        ("vllm", "gptq", "W4A16-g128", "fp16", "gptq", "W4A16-g128", True),
        ("vllm", "awq", "W4A16-g128", "fp8", "awq", "W4A16-g128", True),
        ("vllm", "mixed", "W4A16-g128", "fp16", "gptq", "W4A16-g128", True),
        ("vllm", "smoothquant", "W8A8-int8", "fp16", "smoothquant", "W8A8-int8", True),
        ("vllm", "fp8", "W8A8-fp8", "fp16", "rtn", "W8A8-fp8", False),
        ("vllm", "nvfp4", "W4A4-nvfp4", "fp16", "rtn", "W4A4-nvfp4", True),
        ("tensorrt-llm", "fp8", "W8A8-fp8", "fp8", "rtn", "W8A8-fp8-tensor-static", True),
        ("llama.cpp", "rtn", "Q4_0", "q8_0", "none", "Q4_0", False),
        ("llama.cpp", "gguf-k", "Q5_K_M", "fp16", "none", "Q5_K_M", False),
    ]

    def only(self, engine, technique, scheme, kv):
        """A recommendation in which rules of one's own leave nothing but one variant."""
        (self.folder / "only.yaml").write_text(f"""- id: only-this
  kind: forbid
  code: rule
  when: variant.technique != "{technique}" or variant.scheme != "{scheme}" or variant.kv != "{kv}"
  because: Another variant is wanted.
  sources: [profile]
""")
        settings = ["engine=" + engine, "hardware.memory=1 GiB", "confidence=0.5", "accuracy.retain=0.05"]
        sets = [word for setting in settings for word in ("--set", setting)]
        return self.recommendation(*sets, "--rules", self.folder / "only.yaml", name="only.json")

    def test_every_variant_that_the_backend_makes_is_applied(self):
        calibration = self.source / "examples/calibration"
        for engine, technique, scheme, kv, by, what, learns in self.made_here:
            with self.subTest(f"{technique} {scheme} {engine}"):
                path, out = self.only(engine, technique, scheme, kv), self.folder / f"{technique}-{scheme}-{engine}"
                option = json.loads(path.read_text())["options"][0]
                self.assertEqual((option["technique"], option["kv"]), (technique, kv))
                self.assertEqual("--calibration TEXT" in option["apply_command"], learns)
                for line in (f"technique: {by}", what, *(["kv_cache: fp8"] if kv == "fp8" else [])):
                    self.assertIn(line, option["recipe"])
                where = ["apply", path, "--model", self.tiny, "--out", out]
                text = ["--calibration", calibration, "--samples", 8, "--sequence-length", 64, "--memory", "2GiB"]
                if learns:
                    self.refused(*where, expect=2, says=["--calibration"])
                    self.assertFalse(out.exists())
                done = self.json_of(*where, *(text if learns else []), "--threads", 1)
                output = done["compression"]["outputs"][0]
                # solved matrices are compared with what the solver left, which has no bound beforehand
                self.assertTrue(all(t["relative_error"] <= t["budget"] for t in output["tensors"] if t["budget"] > 0))
                self.assertEqual(len(output["sha256"]), 64)
                # the recipe as it is written does the same
                recipe, again = self.folder / "recipe.yaml", out.with_name(out.name + "-again")
                recipe.write_text(option["recipe"])
                self.run_advisor("compress", self.tiny, again, "--recipe", recipe, *(text if learns else []))
                for file in ("model.safetensors", "model.gguf"):
                    if (out / file).exists():
                        self.assertEqual((out / file).read_bytes(), (again / file).read_bytes())

    def test_the_commands_run_as_they_are_printed(self):
        answer = json.loads(self.recommendation().read_text())
        option = answer["options"][0]
        for name, there in (("examples", self.source / "examples"), ("SUITE", self.suite)):
            (self.folder / name).symlink_to(there)
        (self.folder / "RECOMMENDATION.json").write_text(json.dumps(answer))
        for command in (option["apply_command"], option["verify_command"]):
            words = shlex.split(command)
            self.assertEqual(words[0], "advisor")
            self.run_advisor(*words[1:], cwd=self.folder)
        # a written folder names itself
        self.run_advisor("recommend", self.first_light, "--out", self.folder / "answer", cwd=self.source)
        written = json.loads((self.folder / "answer/recommendation.json").read_text())
        self.assertIn(str(self.folder / "answer"), written["options"][0]["apply_command"])
        self.assertNotIn("RECOMMENDATION.json", (self.folder / "answer/recommendation.md").read_text())

    def test_apply_refuses_what_cannot_be_made(self):
        path = self.recommendation(profile=self.profile(FITS_AS_IT_IS), name="keep.json")
        says = ["nothing has to be made"]
        self.refused("apply", path, "--model", self.tiny, "--out", self.folder / "o", expect=2, says=says)
        self.refused("apply", path, "--model", self.tiny, "--out", self.folder / "o", "--option", 99, expect=2, says=["option 99"])
        nothing = self.recommendation(profile=self.profile(FITS_NOWHERE), expect=1)
        self.refused("apply", nothing, "--model", self.tiny, "--out", self.folder / "o", expect=2, says=["no options"])
        self.assertFalse((self.folder / "o").exists())

    def test_what_is_no_recommendation_is_refused(self):
        path = self.folder / "x.json"
        path.write_text('{"schema": "advisor.estimate/1"}')
        for verb in (["explain", path], ["diff", path, path], ["apply", path, "--model", self.tiny, "--out", self.folder / "o"]):
            self.refused(*verb, expect=2, says=[str(path), "no recommendation"])
        self.refused("explain", self.folder / "none.json", expect=2, says=["no such file"])


main(__file__)
