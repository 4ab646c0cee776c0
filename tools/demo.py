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
    print(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  "))


def advisor(*arguments, ok=(0,)):
    """Runs the command and returns what it printed. Its progress is for people: shown on a terminal only."""
    command = [ADVISOR, *arguments]
    screen = None if sys.stderr.isatty() else subprocess.PIPE
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=screen, text=True, check=False)
    if done.returncode not in ok:
        print(done.stdout, done.stderr or "", sep="", end="")
        sys.exit(f"demo: '{' '.join(command)}' ended with status {done.returncode}")
    return done.stdout


def advisor_json(name, *arguments, ok=(0,)):
    """The same with --json; the answer is kept as build/demo/<name>.json."""
    print(f"  $ advisor {' '.join(arguments)}", flush=True)
    text = advisor(*arguments, "--json", ok=ok)
    (ROOT / OUT / f"{name}.json").write_text(text, encoding="utf-8")
    return json.loads(text)


def size(count):
    """Bytes for people: 1.13 MiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.2f} {unit}"
        count /= 1024


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
    words = {"keep": "KEEP the model as it is", "compress": "COMPRESS the model", "switch": "SWITCH to another model",
             "compress_and_switch": "SWITCH to another model and compress it"}
    best = answer["options"][0]
    memory, quality = best["estimates"]["memory"], best["estimates"].get("quality") or {}
    heading("Verdict")
    print(f"  {words[answer['verdict']]}: {best['technique']} to {best['scheme']}, a {best['format']} file for "
          f"{best['engine']}.")
    heading("Why")
    for rejection in answer["rejections"]:
        what = "as it is" if rejection["action"] == "keep" else rejection["scheme"]
        paragraph(f"- Not {what}: {rejection['because']}.")
    paragraph(f"- {best['scheme']} needs {size(memory['bytes'])} of {size(memory['available'])}: weights "
              f"{size(memory['weights'])}, KV cache {size(memory['kv_cache'])}, engine {size(memory['overhead'])}.")
    if quality.get("retention"):
        kept = quality["retention"]
        paragraph(f"- Expected to keep {interval(kept['mean'], kept['low'], kept['high'], 1, 100, ' %')} of its quality "
                  f"({kept['basis']} from {kept['n']} published measurements); the limit is met with probability "
                  f"{quality['probability']:.2f}.")
    if best["decided_by"]:
        paragraph(f"- It is {best['decided_by']}.")


def compress(best):
    (ROOT / OUT / "recipe.yaml").write_text(best["recipe"], encoding="utf-8")
    report = advisor_json("compression", "compress", MODEL, f"{OUT}/model", "--recipe", f"{OUT}/recipe.yaml")
    print(f"    {report['seconds']:.1f} s, peak memory {size(report['peak_memory'])}; reopened and checked")


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


def memory_row(best):
    """What an engine needs to serve it. For the original, the same question is asked with memory to spare."""
    original = advisor_json("uncompressed", "recommend", PROFILE, "--set", "allow.compress=false", "--set",
                            "hardware.memory=1 TiB")
    return ["memory to serve it (estimate)", *(size(option["estimates"]["memory"]["bytes"])
                                               for option in (original["options"][0], best))]


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

    rows = measured_rows(before, after)
    rows.insert(2, memory_row(best))

    explain(answer)
    heading("Before and after, measured on this machine (in brackets: 95 % interval)")
    print_table(rows)

    heading("Where things are")
    print(f"  original        {MODEL}")
    if compressed:
        print(f"  compressed      {OUT}/model")
        print(f"  recipe          {OUT}/recipe.yaml")
    print(f"  all answers     {OUT}/*.json")


if __name__ == "__main__":
    main()
