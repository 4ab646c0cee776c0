"""Tables for notebooks."""

from __future__ import annotations

import html
from typing import Any, Mapping


def _interval(estimate: Any, scale: float = 1.0, digits: int = 1) -> str:
    """mean (low to high), or a dash when nothing is known."""
    if not estimate:
        return "–"
    mean, low, high = (estimate[key] * scale for key in ("mean", "low", "high"))
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def recommendation_html(answer: Mapping[str, Any]) -> str:
    """The options as an HTML table under the verdict; every text from outside is escaped."""
    columns = ("#", "action", "model", "scheme", "engine", "memory GiB", "quality %", "tokens/s", "USD / M tokens")
    rows = []
    for option in answer["options"]:
        estimates = option["estimates"]
        cells = (
            option["rank"],
            option["action"],
            option["model"],
            f'{option["technique"]} {option["scheme"]}',
            option["engine"],
            f'{estimates["memory"]["bytes"] / 2**30:.1f}',
            _interval(estimates.get("quality"), 100),
            _interval(estimates.get("decode_tokens_per_second")),
            _interval(estimates.get("usd_per_million_tokens"), 1, 2),
        )
        rows.append("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    verdict = answer["verdict"] or answer["outcome"]
    return f"<p><b>{html.escape(str(verdict))}</b></p><table><tr>{head}</tr>{''.join(rows)}</table>"
