#!/usr/bin/env python3
"""Fills the generated parts of docs/estimation.md from a build: the fitted values and the backtest tables.

usage: tools/make_docs.py [--build build/release] [--check]

A part stands between '<!-- generated: NAME -->' and '<!-- end -->'. --check writes nothing and fails when a fitted
value in the page is not that of the database (the backtest takes a minute and is not run again for the check).
"""

import argparse
import pathlib
import re
import sqlite3
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/estimation.md"
MOST = 8  # levels of one term; those with most measurements
FEWEST = 30  # rows of a group in the backtest


def fitted(database, fit):
    rows = database.execute(
        "SELECT term, level, value, sd, rows, sources FROM fitted_terms WHERE fit = ? ORDER BY term, level", (fit,)
    ).fetchall()
    terms = {}
    for term, *rest in rows:
        terms.setdefault(term, []).append(rest)
    lines = [f"{len(rows)} values in {len(terms)} terms.", "", "| term | level | value | sd | rows | sources |", "|---|---|--:|--:|--:|--:|"]
    for term, levels in terms.items():
        shown = sorted(sorted(levels, key=lambda l: -l[3])[:MOST])
        for level, value, sd, count, sources in shown:
            number = len([s for s in sources.split(";") if s])
            lines.append(f"| {term} | {level.replace('|', ' / ') or '-'} | {value:.4g} | {sd:.2g} | {count} | {number} |")
        if len(levels) > len(shown):
            lines.append(f"| {term} | {len(levels) - len(shown)} more | | | | |")
    return "\n".join(lines)


def backtest(advisor):
    groups = [word for name in ("family", "technique", "engine") for word in ("--group", name)]
    command = [advisor, "backtest", "--format", "markdown", *groups]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    parts = []
    for part in text.strip().split("\n\n"):
        rows = part.splitlines()
        if rows[0].startswith("| ") and not rows[0].startswith(("| kind", "| why")):  # a table by group
            rows = rows[:2] + [row for row in rows[2:] if int(row.split("|")[2]) >= FEWEST]
            if len(rows) == 2:  # and its heading
                parts.pop()
                continue
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + f"\n\nGroups of fewer than {FEWEST} rows are left out of this page."


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    database = sqlite3.connect(arguments.build / "share/advisor/advisor.db")
    text = PAGE.read_text()
    stale = []

    def fill(match):
        name, old = match[1], match[2].strip()
        if name == "backtest":
            new = old if arguments.check else backtest(arguments.build / "bin/advisor")
        else:
            new = fitted(database, name)
        if new != old:
            stale.append(name)
        return f"<!-- generated: {name} -->\n\n{new}\n\n<!-- end -->"

    text = re.sub(r"<!-- generated: (\w+) -->\n(.*?)<!-- end -->", fill, text, flags=re.DOTALL)
    if arguments.check:
        if stale:
            sys.exit(f"{PAGE}: {', '.join(stale)} differ from {arguments.build}; run tools/make_docs.py")
        return
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
