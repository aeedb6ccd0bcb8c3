"""Many flows at once: what all of them ask for in the same round is answered together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from adaptive_middleware.effects import Effect, Flow

T = TypeVar("T")
Together = Callable[[Sequence[tuple[int, Any]]], Sequence[object]]
"""(number of a flow, its effect) for flows that ask for the same kind of thing -> their answers, in order."""


def lockstep(flows: Sequence[Flow[T]], answers: dict[type[Effect[Any]], Together]) -> list[T]:
    """The results of all flows, in order; raises what a flow raises.

    >>> def flow(n):
    ...     paths = yield from Sample(Request("q"), n)
    ...     return len(paths)
    >>> from adaptive_middleware.effects import Sample
    >>> from adaptive_middleware.types import Request
    >>> lockstep([flow(1), flow(2)], {Sample: lambda asked: [["a"] * effect.n for _, effect in asked]})
    [1, 2]
    """
    results: dict[int, T] = {}
    waiting: dict[int, Effect[Any]] = {}
    told: dict[int, object] = dict.fromkeys(range(len(flows)))
    while told:
        for index, answer in told.items():
            try:
                waiting[index] = flows[index].send(answer)
            except StopIteration as stop:
                results[index] = stop.value
        kinds = {type(effect) for effect in waiting.values()}
        told = {}
        for kind in sorted(kinds, key=lambda one: one.__name__):
            asked = [(index, effect) for index, effect in waiting.items() if type(effect) is kind]
            told |= zip((index for index, _ in asked), answers[kind](asked), strict=True)
        waiting = {}
    return [results[index] for index in range(len(flows))]
