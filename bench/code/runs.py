"""What rules that stop save on the answers of a `solve` run in which every sample was drawn, and runs beside each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adaptive_middleware.collect.journal import finished_units

Unit = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One rule or run on the same tasks; `share` is its generated tokens over those of the first row."""

    name: str
    tasks: int
    solved: float
    samples: float
    tokens: float
    share: float = 1.0


def units_of(folder: Path) -> dict[str, Unit]:
    """The finished tasks of a run; raises `FileNotFoundError` where there are none."""
    units = finished_units(folder)
    if not units:
        message = f"{folder}: no finished tasks; run `adaptive-middleware solve TASKS --out {folder}`"
        raise FileNotFoundError(message)
    return dict(units)


def stopped(units: Sequence[Unit], give_up: int) -> Row:
    """Stop at the first pass, or after `give_up` failures: the mean over all orders of each task's samples.

    Of n samples of which c pass, the first j - 1 fail and sample j passes with probability
    C(n - j, c - 1) / C(n, c) (the negative hypergeometric distribution); a sample costs the task's mean.
    """
    solved = samples = tokens = 0.0
    for unit in units:
        drawn = unit["candidates"]
        n, c = len(drawn), sum(one["passed"] is True for one in drawn)
        still, expected = 1.0, 0.0
        for j in range(min(give_up, n)):
            expected += still
            still *= (n - j - c) / (n - j)
        solved += 1 - still
        samples += expected
        tokens += expected * sum(one["completion_tokens"] for one in drawn) / n
    return Row(f"stop at the first pass, give up after {give_up}", len(units), solved, samples, tokens)


def run(name: str, units: Sequence[Unit]) -> Row:
    """A run as it was."""
    solved = float(sum(unit["solved"] is True for unit in units))
    samples, tokens = (float(sum(unit[key] for unit in units)) for key in ("samples", "completion_tokens"))
    return Row(name, len(units), solved, samples, tokens)


def compared(fixed: Path, others: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows on the tasks that all runs have finished: the fixed run, rules replayed on its samples, and the other runs."""
    every = units_of(fixed)
    runs = [(folder.name, units_of(folder)) for folder in others]
    common = [name for name in every if all(name in units for _, units in runs)]
    mine = [every[name] for name in common]
    most = max(len(unit["candidates"]) for unit in mine)
    caps = [cap for cap in (4, 8, 12) if cap < most]
    rows = [run(f"{fixed.name}: every sample", mine), *(stopped(mine, cap) for cap in (*caps, most))]
    rows += [run(name, [units[task] for task in common]) for name, units in runs]
    first = rows[0].tokens
    return [{**asdict(row), "share": round(row.tokens / first, 4)} for row in rows]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| rule | tasks | solved | samples | generated tokens | share |", "|---|---|---|---|---|---|"]
    for row in rows:
        numbers = f"{row['solved']:.1f} | {row['samples']:.0f} | {row['tokens']:.0f} | {row['share']:.1%}"
        lines.append(f"| {row['name']} | {row['tasks']} | {numbers} |")
    return "\n".join(lines) + "\n"


def told(folders: Sequence[Path], *, as_json: bool) -> str:
    """What the command prints."""
    rows = compared(folders[0], folders[1:])
    return json.dumps(rows) + "\n" if as_json else table(rows)
