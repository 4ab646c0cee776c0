#!/usr/bin/env python3
"""./dev demo: from a profile to a compressed, measured model, told to somebody who sees it for the first time.

Runs the advisor command as a user would and reads its --json answers. Needs only Python. Everything that is written
goes to build/demo.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[1]
ADVISOR = "build/release/bin/advisor"
PROFILE = "examples/profiles/first-light.yaml"
MODEL = "examples/models/tiny"
SUITE = "examples/suites/tiny"
OUT = "build/demo"
WIDTH = 100


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def paragraph(text, indent="  "):
    print(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent))


def advisor(*arguments, ok=(0,)):
    """Runs the command and returns what it printed; its progress stays on the screen."""
    done = subprocess.run([ADVISOR, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in ok:
        print(done.stdout, end="")
        sys.exit(f"demo: '{' '.join([ADVISOR, *arguments])}' ended with status {done.returncode}")
    return done.stdout


def advisor_json(name, *arguments, ok=(0,)):
    """The same with --json; the answer is kept as build/demo/<name>.json."""
    print(f"  $ advisor {' '.join(arguments)}", flush=True)
    text = advisor(*arguments, "--json", ok=ok)
    (ROOT / OUT / f"{name}.json").write_text(text, encoding="utf-8")
    return json.loads(text)


def size(count):
    """Bytes for people: 1.48 MB (decimal, as files are sold)."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.2f} {unit}"
        count /= 1000


def interval(value, low, high, digits, scale=1.0, unit=""):
    return f"{value * scale:.{digits}f}{unit} ({low * scale:.{digits}f} to {high * scale:.{digits}f})"


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print("  " + "   ".join("-" * width for width in widths))


def explain(answer):
    """Verdict, reason and what else was considered, in plain words."""
    words = {"keep": "Keep the model as it is.", "compress": "Compress the model.", "switch": "Use another model.",
             "compress_and_switch": "Use another model, compressed."}
    heading("Verdict")
    print(f"  {words.get(answer['verdict'], answer['verdict'])}")
    best = answer["options"][0]
    print(f"  {best['technique']} to {best['scheme']}, written as {best['format']}, to run with {best['engine']}")
    for item in best["evidence"]:
        reason = item.get("text") or item.get("because")
        if reason:
            paragraph(f"- {reason}")
    if best.get("decided_by"):
        paragraph(f"- {best['decided_by']}")
    rejections = answer["rejections"]
    if rejections:
        print(f"\n  Ruled out: {len(rejections)}, for example")
        for rejection in {r["code"]: r for r in rejections}.values():
            paragraph(f"- {rejection['scheme']}: {rejection['because']}")


def compress(best):
    recipe = ROOT / OUT / "recipe.yaml"
    recipe.write_text(best["recipe"], encoding="utf-8")
    return advisor_json("compression", "compress", MODEL, f"{OUT}/model", "--recipe", f"{OUT}/recipe.yaml")


def measured_rows(before, after):
    """One row per yardstick; the interval says how sure a measurement on this many items can be."""
    rows = [["", "before", "after"],
            ["weights on disk", size(before["weight_bytes"]), size(after["weight_bytes"])]]
    if before["perplexity"] and after["perplexity"]:
        rows.append(["perplexity (lower is better)",
                     *(interval(r["perplexity"]["value"], r["perplexity"]["low"], r["perplexity"]["high"], 3)
                       for r in (before, after))])
    for old, new in zip(before["choices"], after["choices"]):
        rows.append([f"accuracy, {old['name']} ({old['n']} questions)",
                     *(interval(r["accuracy"], r["low"], r["high"], 1, 100, " %") for r in (old, new))])
    return rows


def memory_row(answer, best):
    """What an engine needs to serve it: the estimate behind the verdict, for the original where it was estimated."""
    original = next((o for o in answer["options"] if o["action"] == "keep"), None)
    cell = lambda option: size(option["estimates"]["memory"]["bytes"]) if option else "-"
    return ["memory to serve it (estimate)", cell(original), cell(best)]


def main():
    shutil.rmtree(ROOT / OUT, ignore_errors=True)
    (ROOT / OUT).mkdir(parents=True)

    heading("This machine")
    print(textwrap.indent(advisor("probe").rstrip(), "  "))

    heading("The question")
    print(textwrap.indent((ROOT / PROFILE).read_text(encoding="utf-8").rstrip(), "  "))

    heading("The work")
    answer = advisor_json("recommendation", "recommend", PROFILE, ok=(0, 1, 3))
    if answer["outcome"] != "recommended":
        print(advisor("recommend", PROFILE, ok=(1, 3)))
        sys.exit(f"demo: expected a recommendation, got '{answer['outcome']}'")
    best = answer["options"][0]
    compressed = best.get("recipe") is not None
    if compressed:
        compress(best)
    before = advisor_json("before", "evaluate", MODEL, "--suite", SUITE)
    after = advisor_json("after", "evaluate", f"{OUT}/model", "--suite", SUITE) if compressed else before

    explain(answer)
    heading("Before and after, measured on this machine (95 % intervals)")
    rows = measured_rows(before, after)
    rows.insert(2, memory_row(answer, best))
    print_table(rows)

    heading("Where things are")
    print(f"  original        {MODEL}")
    if compressed:
        print(f"  compressed      {OUT}/model")
        print(f"  recipe          {OUT}/recipe.yaml")
    print(f"  all answers     {OUT}/*.json")


if __name__ == "__main__":
    main()
