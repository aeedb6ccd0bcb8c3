"""What a collection will cost, reckoned before anything is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.collect.problem import Size
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.records import estimated


@dataclass(frozen=True, slots=True)
class Cost:
    """Calls and tokens that are still to come, at most; `expected_tokens` where finished problems tell.

    `calls` are requests for answers (several answers each), `generations` the answers; tokens are those that the
    sampled model reads (`prompt_tokens`) and writes (`completion_tokens`).
    """

    prompts: int
    finished: int
    calls: int
    generations: int
    prompt_tokens: int
    completion_tokens: int
    expected_tokens: int | None


def reckon(
    prompts: Sequence[Prompt],
    size: Size,
    max_tokens: int,
    *,
    continues: bool,
    units: Mapping[str, Mapping[str, Any]],
) -> Cost:
    """The cost of the prompts that are not finished in `units`, each at its most.

    Prompt tokens are counted once for each request of several answers, at four characters a token.

    >>> reckon([Prompt("a", "2 + 2 = ?")], Size(4, 2, 8), 100, continues=True, units={}).generations
    72
    """
    waiting = [prompt for prompt in prompts if f"scores:{prompt.id}" not in units]
    cuts = size.answers * size.prefixes if continues else 0
    extra = max(size.rollouts - size.answers, 0)
    calls = 1 + (extra > 0) + cuts
    generations = size.answers + extra + cuts * size.rollouts
    asked = sum(estimated(prompt.question) for prompt in waiting)
    done = {prompt.id for prompt in prompts} - {prompt.id for prompt in waiting}
    spent = sum(_tokens(unit) for key, unit in units.items() if key.partition(":")[2] in done)
    return Cost(
        prompts=len(prompts),
        finished=len(done),
        calls=len(waiting) * calls,
        generations=len(waiting) * generations,
        prompt_tokens=asked * calls + len(waiting) * cuts * max_tokens,
        completion_tokens=len(waiting) * generations * max_tokens,
        expected_tokens=round(spent / len(done) * len(waiting)) if done else None,
    )


def _tokens(unit: Mapping[str, Any]) -> int:
    return int(unit.get("prompt_tokens", 0)) + int(unit.get("completion_tokens", 0))
