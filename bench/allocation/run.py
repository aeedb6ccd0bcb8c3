"""Runs the board: one task per recording and view, in processes, put together in a fixed order."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path as File

from adaptive_middleware.types import Belief
from bench.allocation.board import Part
from bench.allocation.crossfit import FOLDS
from bench.allocation.difficulty_features import text_of
from bench.allocation.markdown import page
from bench.allocation.measure import Findings, measure
from bench.allocation.parts import replayed_part, verified_part
from bench.allocation.recordings import Pool, Source, load
from bench.allocation.rows import absent, as_json
from bench.allocation.views import View, possible


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: a view of a pool, or a whole verified pool (view None)."""

    pool: Pool
    view: View | None
    seed: int


def board(
    sources: Sequence[Source], seed: int, workers: int, *, optional: bool, orders: int = 0
) -> list[Part]:
    """The parts of all recordings, each replayed in so many `orders` (0: `load` chooses).

    With `optional`, a file that is not there becomes a part without rows.

    Raises `RecordingError` for a recording that cannot be read.
    """
    pools = {one.name: load(one, orders) for one in sources if one.file.exists() or not optional}
    tasks = [task for pool in pools.values() for task in _tasks(pool, seed)]
    results: dict[str, list[Findings | Part]] = {name: [] for name in pools}
    for task, result in zip(tasks, _done(tasks, workers), strict=True):
        results[task.pool.source.name].append(result)
    return [_part(one, pools.get(one.name), results, seed) for one in sources]


def write(parts: Sequence[Part], folder: File, seed: int, recordings: Sequence[str]) -> tuple[File, File]:
    """Write both files, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    text, data = folder / "LEADERBOARD.md", folder / "leaderboard.json"
    text.write_text(page(parts, seed, recordings), encoding="utf-8")
    rows = [row for part in parts for row in _json_rows(part)]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    data.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return text, data


def _tasks(pool: Pool, seed: int) -> list[Task]:
    if pool.verified:
        return [Task(pool, None, seed)]
    return [Task(pool, view, seed) for view in possible(pool.problems)]


def _done(tasks: Sequence[Task], workers: int) -> list[Findings | Part]:
    if workers < 2 or len(tasks) < 2:
        return [_do(task) for task in tasks]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_do, tasks))


def _do(task: Task) -> Findings | Part:
    sys.stderr.write(f"{task.pool.source.name}: {task.view or 'exact'}\n")
    if task.view is None:
        return verified_part(task.pool, priors_of(task.pool, task.seed), task.seed)
    return measure(task.pool, task.view, seed=task.seed)


def priors_of(pool: Pool, seed: int) -> dict[str, Belief] | None:
    """Priors from the questions' texts; None without texts, or with too few problems to learn from."""
    if len(pool.problems) < FOLDS or not any(text_of(problem).strip() for problem in pool.problems):
        return None
    from bench.allocation.difficulty import predict  # noqa: PLC0415 - loads scikit-learn

    return predict(pool.problems, seed)


def _part(source: Source, pool: Pool | None, results: dict[str, list[Findings | Part]], seed: int) -> Part:
    if pool is None:
        return Part(
            source.name, source.about, (f"absent: {source.file.name} is not in shared/pools on this machine",)
        )
    done = results[source.name]
    parts = [one for one in done if isinstance(one, Part)]
    return (
        parts[0] if parts else replayed_part(pool, [one for one in done if isinstance(one, Findings)], seed)
    )


def _json_rows(part: Part) -> list[dict[str, object]]:
    rows = [*part.rows, *(row for match in part.matches for row in match.rows)]
    return [as_json(part.name, row) for row in rows] or [absent(part.name)]
