"""RESULTS.md: a block per shape and device, replaced by the run that measures it; what was not run says so."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from bench.scoring import targets
from bench.scoring.clients import WAYS as SERVED
from bench.scoring.clients import Served
from bench.scoring.measure import Figures
from bench.scoring.plans import plan
from bench.scoring.report import Report

BLOCKS = (("cpu", "135m"), ("cpu", "1.5b"), ("cuda", "135m"), ("cuda", "1.5b"), ("cuda", "7b"))
_INTRO = """# Scoring speed

Ways to score the steps of answers with a process reward model, side by side in one run, in turn. Random weights of public
shapes; nothing is downloaded. Each block below is written by the command in it.

- *tokens*: what the way pushes through the trunk, padding included. *useful*: what would do, the prompt once and no
  padding; the same for every way of a case, so useful tokens/s compare.
- *MFU*: operations of the way's own tokens per second over the measured rate of a large matrix product. *useful MFU*:
  the same of the useful tokens.
- *roofline*: the least possible time of the useful work, stage by stage the larger of its operations at the measured rate
  and the weights read once at the measured bandwidth, over the time taken.
- *max dp*: the largest difference of probabilities to float32 one by one with the same weights, in the number
  format of the block, over the first answers of the case.
- *rescoring* scores everything again after each step; its last forward is also the padded batch of the standard case.
- B3 whole answers; B4 step by step; B5 a long agent prompt; B6 clients that ask for one step at the same moment,
  wall time, on devices that keep what was before: the engine's own batching, batches closed by a timer, a lock.
"""
_COLUMNS = (
    "ms", "ms/step", "tokens", "tokens/s", "useful tokens/s", "answers/s", "MFU", "useful MFU", "roofline",
    "max dp", "KV MiB", "rounds",
)  # fmt: skip
_CLIENTS = ("clients", "way", "steps/s", "tokens/s", "p50 ms", "p99 ms", "roofline")
_ABSENT = "not run"
Rows = Sequence[Sequence[str]]


def command(device: str, shape: str, threads: int) -> str:
    """The command that fills a block."""
    return f"python -m bench.scoring --shape {shape} --device {device} --threads {threads} --write"


def rewritten(text: str, device: str, shape: str, block: str) -> str:
    """The page with one block replaced, or, where there is none, added; an empty page gets all of them."""
    if not text:
        text = _INTRO + "".join(f"\n{_marked(*one, absent(*one))}" for one in BLOCKS)
    pattern = re.compile(
        re.escape(_open(device, shape)) + ".*?" + re.escape(_close(device, shape)), re.DOTALL
    )
    marked = _marked(device, shape, block)
    if not pattern.search(text):
        return f"{text}\n{marked}"
    return pattern.sub(lambda _: marked.rstrip("\n"), text)


def absent(device: str, shape: str) -> str:
    """The block of what has not been run: the rows that it will have, and the command."""
    todo = plan(shape, gpu=device == "cuda", quick=False, dtype=torch.bfloat16)
    cases = [
        (f"{case.name}: {case.setting}", way)
        for case in (todo.standard, *todo.cases)
        for way in dict.fromkeys(case.ways)
    ]
    goals = [(goal.about, _bound(goal), _ABSENT, "") for goal in targets.of(device, shape, quick=False)]
    rows = [(case, way, _ABSENT, *[""] * (len(_COLUMNS) - 1)) for case, way in cases]
    crowds = [(str(one.clients), way, _ABSENT, *[""] * 4) for one in todo.crowds for way, _ in SERVED]
    head = f"{_title(device, shape)}\n\nNot run. Command: `{command(device, shape, 1)}`\n"
    return head + _tables(goals, [], rows, crowds)


def measured(report: Report) -> str:
    """The block of a run."""
    about = report.about
    device = about.machine.place.type
    peak = f"{about.peak.flops / 1e12:.3g} TFLOP/s, {about.peak.bytes / 1e9:.3g} GB/s"
    head = (
        f"{_title(device, about.shape)}\n\nCommand: `{command(device, about.shape, about.machine.threads)}`\n\n"
        f"{about.machine.about}; {about.dtype}; {about.machine.timed_by}; measured peak {peak}. "
        f"max dp in {report.gate.dtype} on {report.gate.setting}: {report.max_abs_dp:.1e}.\n"
        + "".join(f"{note}.\n" for note in report.notes)
    )
    goals = [
        (goal.about, _bound(goal), f"{goal.value(report):.3g}", "yes" if goal.met(report) else "no")
        for goal in targets.of(device, about.shape, quick=about.quick)
    ]
    ratios = [(pair.name, f"{pair.time:.2f}", f"{pair.tokens:.2f}") for pair in report.pairs]
    return head + _tables(goals, ratios, list(map(_cells, report.rows)), list(map(_client, report.crowds)))


def _tables(goals: Rows, ratios: Rows, rows: Rows, crowds: Rows) -> str:
    tables = (
        (("target", "bound", "reached", "met"), goals),
        (("standard case", "time ratio", "token ratio"), ratios),
        (("case", "way", *_COLUMNS), rows),
        (_CLIENTS, crowds),
    )
    return "".join(f"\n{_table(head, lines)}" for head, lines in tables if lines)


def _table(head: Sequence[str], rows: Rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(line: Figures) -> list[str]:
    rates = (line.tokens_per_s, line.useful_tokens_per_s)
    shares = (line.mfu, line.useful_mfu, line.roofline)
    return [
        line.case,
        line.way,
        f"{line.ms:.4g}",
        f"{line.ms_per_step:.4g}",
        f"{line.tokens}",
        *(f"{rate:.0f}" for rate in rates),
        f"{line.sequences_per_s:.3g}",
        *(f"{share:.1%}" for share in shares),
        f"{line.max_abs_dp:.1e}",
        f"{line.kv_bytes / 2**20:.1f}",
        f"{line.rounds}",
    ]


def _client(line: Served) -> list[str]:
    numbers = (line.steps_per_s, line.tokens_per_s, line.p50_ms, line.p99_ms)
    return [f"{line.clients}", line.way, *(f"{number:.4g}" for number in numbers), f"{line.roofline:.1%}"]


def _bound(goal: targets.Target) -> str:
    return f"{'≥' if goal.least else '≤'} {goal.bound:g}"


def _title(device: str, shape: str) -> str:
    return f"## {shape} on {device}"


def _open(device: str, shape: str) -> str:
    return f"<!-- {device} {shape} -->"


def _close(device: str, shape: str) -> str:
    return f"<!-- end of {device} {shape} -->"


def _marked(device: str, shape: str, block: str) -> str:
    return f"{_open(device, shape)}\n{block}{_close(device, shape)}\n"
