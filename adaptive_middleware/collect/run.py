"""The run: problems side by side, in an order that no budget can skew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from adaptive_middleware.collect.control import Stopped, UnitFailed
from adaptive_middleware.collect.measured import Problem
from adaptive_middleware.collect.problem import Size, measure
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.units import World

Watch: TypeAlias = Callable[[int, int], None]
"""Told after each problem: how many are finished, and how many have failed."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run ended with: finished problems in the order of the prompts, and why others are not finished.

    `failed` maps ids to causes; `stopped` is empty, `budget` or `errors`.
    """

    problems: tuple[Problem, ...]
    failed: Mapping[str, str]
    stopped: str = ""


def collect(
    prompts: Sequence[Prompt], world: World, size: Size, *, concurrency: int, watch: Watch
) -> Collected:
    """Measure every prompt, at most `concurrency` at once, in an order shuffled by the seed.

    Where the budget ends the run early, the finished problems are thus a random sample. On Ctrl-C no more
    work is begun, and what is under way is finished and written down before `KeyboardInterrupt` goes on.
    """
    order = sorted(prompts, key=lambda prompt: prompt.id)
    Random(f"{world.seed}:order").shuffle(order)  # noqa: S311 - an order, not a secret
    workers = concurrency if world.source.concurrent else 1
    with ThreadPoolExecutor(workers, thread_name_prefix="adaptive-collect") as pool:
        futures = {pool.submit(measure, world, prompt, size): prompt.id for prompt in order}
        try:
            done, failed = _gathered(futures, watch)
        except BaseException:
            world.control.stop("interrupted")
            raise
    finished = tuple(done[prompt.id] for prompt in prompts if prompt.id in done)
    return Collected(finished, failed, world.control.reason)


def _gathered(
    futures: Mapping[Future[Problem], str], watch: Watch
) -> tuple[dict[str, Problem], dict[str, str]]:
    done: dict[str, Problem] = {}
    failed: dict[str, str] = {}
    for future in as_completed(futures):
        error = future.exception()
        if isinstance(error, UnitFailed):
            failed[futures[future]] = str(error)
        elif not isinstance(error, Stopped):
            done[futures[future]] = future.result()
        watch(len(done), len(failed))
    return done, failed
