"""The list of kept calls: one a line, as wide as the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len, set_cell_size

from adaptive_middleware.legible import line
from adaptive_middleware.trace.explain import moment
from adaptive_middleware.trace.reading import SHORT, Kept

_PAPER = 110
_HEAD = ("id", "time (UTC)", "rule", "samples", "p", "tokens", "saved", "verdict")
_RIGHT = {"samples", "p", "tokens", "saved"}
_LEFT_OUT = ("saved", "rule", "tokens", "p", "time (UTC)", "samples")
_LONGEST, _QUESTION = 14, 20


def shown(calls: Sequence[Kept]) -> Iterator[str]:
    """A head and a line for each call; a narrow terminal gets fewer columns, questions the room that is left."""
    if not calls:
        yield "no calls found"
        return
    rows = [dict(zip(_HEAD, _HEAD, strict=True)), *map(_row, calls)]
    widths = {name: min(max(cell_len(row[name]) for row in rows), _LONGEST) for name in _HEAD}
    total = shutil.get_terminal_size((_PAPER, 24)).columns if sys.stdout.isatty() else _PAPER
    columns = _fitting(widths, total)
    room = max(total - sum(widths[name] + 2 for name in columns), 1)
    questions = ["question", *("" if call.question is None else line(call.question) for call in calls)]
    for row, question in zip(rows, questions, strict=True):
        cells = [_cell(row[name], widths[name], name in _RIGHT) for name in columns]
        yield "  ".join([*cells, _cut(question, room)]).rstrip()


def _fitting(widths: Mapping[str, int], total: int) -> list[str]:
    """The columns that leave a question some room, the least needed left out first."""
    columns = list(_HEAD)
    for name in _LEFT_OUT:
        if sum(widths[each] + 2 for each in columns) + _QUESTION <= total:
            break
        columns.remove(name)
    return columns


def plain(call: Kept) -> dict[str, object]:
    """The figures of a call as JSON values."""
    return {
        "id": call.id,
        "time": moment(call.at),
        "seconds": call.seconds,
        "rule": call.rule,
        "model": call.model,
        "call_site": call.call_site,
        "run_id": call.run_id,
        "samples": call.samples,
        "max_samples": call.max_samples,
        "p": call.p,
        "lower": call.lower,
        "completion_tokens": call.tokens,
        "fixed_tokens": call.fixed_tokens,
        "usd": call.usd,
        "degraded": call.degraded,
        "unanswered": call.unanswered,
        "verdict": call.verdict,
        "question": call.question,
    }


def _row(call: Kept) -> dict[str, str]:
    p = "-" if call.p is None else f"{call.p:.2f}"
    saved = (
        f"{1 - call.tokens / call.fixed_tokens:.0%}" if call.fixed_tokens and call.max_samples > 1 else "-"
    )
    samples = f"{call.samples}/{call.max_samples}{'!' if call.degraded else ''}"
    values = (
        line(call.id)[-SHORT:],
        moment(call.at)[5:19].replace("T", " "),
        line(call.rule),
        samples,
        p,
        f"{call.tokens:,}",
        saved,
        line(call.came_of_it),
    )
    return dict(zip(_HEAD, values, strict=True))


def _cell(value: str, width: int, right: bool) -> str:
    cut = _cut(value, width)
    blank = " " * (width - cell_len(cut))
    return blank + cut if right else cut + blank


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"
