"""advisor rules: what is in use, whether a file loads, one rule explained; rules of the user."""

import os
import subprocess

from cli import CliTest, main

OWN = """- id: house-large-cache
  kind: warn
  when: memory.kv_cache > 8 GiB
  because: "{memory.kv_cache} of KV cache."
  sources: [profile]
"""
NOTHING_GOES = """- id: house-nothing-goes
  kind: forbid
  code: licence
  when: profile.confidence > 0
  because: House rule.
  sources: [profile]
"""
PROFILE = "model: meta-llama/Llama-3.1-8B-Instruct\nhardware: nvidia-a100-sxm4-80gb\ntask: {type: chat}\n"


class Rules(CliTest):
    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def test_list_has_every_rule_with_reason_and_source(self):
        rules = self.json_of("rules")
        self.assertGreater(len(rules), 20)
        self.assertEqual([r["id"] for r in rules], sorted(r["id"] for r in rules))
        for rule in rules:
            self.assertTrue(rule["sources"], rule["id"])
            self.assertTrue(rule["reads"] or rule["kind"] == "derive", rule["id"])
            self.assertIn(rule["layer"], ("query", "model", "treatment", "candidate", "estimate"))
        self.assertIn(rules[0]["id"], self.run_advisor("rules").stdout)
        self.assertEqual(self.json_of("rules", "list"), rules)

    def test_explain(self):
        rule = self.json_of("rules", "explain", "modality-in-missing")
        self.assertEqual((rule["kind"], rule["code"], rule["layer"]), ("forbid", "modality", "model"))
        self.assertIn("model.modalities_in", [f["fact"] for f in rule["reads"]])
        text = self.run_advisor("rules", "explain", "modality-in-missing").stdout
        for part in (rule["when"], rule["because"], *rule["sources"], "modality.yaml:"):
            self.assertIn(part, text)

    def test_explain_refuses(self):
        self.refused("rules", "explain", "modality-in-mising", expect=2, says=['"modality-in-missing"', "advisor rules"])
        self.refused("rules", "explain", expect=2, says=["needs one id"])
        self.refused("rules", "explian", expect=2, says=['"explain"'])
        self.refused("rules", "list", "--alone", expect=2, says=["rules check"])

    def test_facts(self):
        facts = self.json_of("rules", "facts")
        self.assertGreater(len(facts), 100)
        share = next(f for f in facts if f["fact"] == "memory.kv_share")
        self.assertEqual((share["layer"], share["type"]), ("estimate", "a number"))
        found = self.run_advisor("rules", "facts", "kv_share").stdout
        self.assertIn("memory.kv_share", found)
        self.assertNotIn("hardware.name", found)

    def test_check_prints_what_loads(self):
        file = self.write("house.yaml", OWN)
        text = self.run_advisor("rules", "check", file).stdout
        self.assertEqual(text, f"{file}:1: warn house-large-cache\n1 rule loads\n")
        self.assertEqual(self.json_of("rules", "check", self.folder)[0]["id"], "house-large-cache")

    def test_check_says_where_it_is_wrong(self):
        file = self.write("house.yaml", OWN.replace("8 GiB", "8"))
        self.refused("rules", "check", file, expect=2, says=[f'{file}:3:25: ">" mixes bytes', 'write the unit, as "8 GiB"'])
        self.refused("rules", "check", expect=2, says=["needs a file"])
        self.refused("rules", "check", self.folder / "none", expect=2, says=["no such file"])

    def test_check_stands_beside_what_is_in_use(self):
        clash = self.write("clash.yaml", OWN.replace("house-large-cache", "modality-in-missing"))
        message = self.refused("rules", "check", clash, expect=2, says=["the id is used twice"])
        self.assertIn("clash.yaml:1:7", message)
        self.assertIn("modality.yaml:", message)
        self.assertIn("1 rule loads", self.run_advisor("rules", "check", clash, "--alone").stdout)
        shipped = self.source / "rules"
        self.assertIn("rules load", self.run_advisor("rules", "check", shipped, "--alone").stdout)

    def test_a_file_in_use_is_checked_once(self):
        file = self.write("house.yaml", OWN)
        self.assertIn("1 rule loads", self.run_advisor("rules", "check", file, "--rules", self.folder).stdout)

    def test_own_rules_are_listed_and_decide(self):
        self.write("one/a.yaml", OWN)
        self.write("two/b.yaml", NOTHING_GOES)
        folders = ("--rules", self.folder / "one", "--rules", self.folder / "two")
        ids = [r["id"] for r in self.json_of("rules", *folders)]
        self.assertIn("house-large-cache", ids)
        self.assertIn("house-nothing-goes", ids)
        profile = self.write("p.yaml", PROFILE)
        self.run_advisor("recommend", profile)
        answer = self.json_of("recommend", profile, *folders, expect=1)
        self.assertEqual(answer["outcome"], "infeasible")
        self.assertIn("house-nothing-goes", [r["rule"] for r in answer["rejections"]])

    def test_own_rules_count_in_the_digest_of_the_knowledge(self):
        profile = self.write("p.yaml", PROFILE)
        own = self.write("own/rules.yaml", OWN)
        moved = self.write("other/name.yaml", "# the same\n" + OWN)
        changed = self.write("changed.yaml", OWN.replace("8 GiB", "9 GiB"))
        digest = lambda *args: self.json_of("recommend", profile, *args)["knowledge"]["digest"]
        shipped = digest()
        self.assertTrue(digest("--rules", own).startswith(shipped + "+rules:"))
        self.assertEqual(digest("--rules", own), digest("--rules", moved))
        self.assertNotEqual(digest("--rules", own), digest("--rules", changed))

    def test_own_rules_from_the_environment(self):
        self.write("one/a.yaml", OWN)
        self.write("two/b.yaml", NOTHING_GOES)
        environment = dict(os.environ, ADVISOR_LOCAL="none", ADVISOR_RULES=f"{self.folder / 'one'}:{self.folder / 'two'}")
        done = subprocess.run([self.advisor, "rules"], capture_output=True, text=True, env=environment, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("house-large-cache", done.stdout)
        self.assertIn("house-nothing-goes", done.stdout)

    def test_own_rules_that_do_not_load(self):
        bad = self.write("bad.yaml", OWN.replace("memory.kv_cache > ", "memory.kv_cach > "))
        profile = self.write("p.yaml", PROFILE)
        says = [f"{bad}:3:9", '"memory.kv_cache"']
        self.refused("recommend", profile, "--rules", bad, expect=2, says=says)
        self.refused("rules", "--rules", bad, expect=2, says=says)


if __name__ == "__main__":
    main(__file__)
