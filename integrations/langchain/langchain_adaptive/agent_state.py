"""What the middleware of an agent adds to its state: what the run has spent, and how hard each call was."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from math import fsum
from typing import Annotated, Any, NotRequired

from langchain.agents import AgentState
from langchain.agents.middleware.types import OmitFromInput

from adaptive_middleware.types import Outcome, Usage


def added(spent: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The sum of two counts, name by name; the reducer of `adaptive_spend`.

    >>> added({"calls": 1, "samples": 3}, {"calls": 1, "samples": 1, "prm_tokens": 9})
    {'calls': 2, 'samples': 4, 'prm_tokens': 9}
    """
    return {name: spent.get(name, 0) + more.get(name, 0) for name in {**spent, **more}}


class AdaptiveState(AgentState[Any]):
    """The agent's state with our two entries; both are plain JSON values that add up over the calls.

    `adaptive_spend` counts model calls, samples, provider requests and tokens of all samples;
    `adaptive_difficulty` has a number for each model call, in order: see `difficulty`.
    """

    adaptive_spend: NotRequired[Annotated[dict[str, int], OmitFromInput, added]]
    adaptive_difficulty: NotRequired[Annotated[list[float | None], OmitFromInput, operator.add]]


def spend(usage: Usage, samples: int) -> dict[str, int]:
    """One call's `adaptive_spend`."""
    return {
        "calls": 1,
        "samples": samples,
        "requests": usage.requests,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "prm_tokens": usage.prm_tokens,
    }


def difficulty(outcome: Outcome) -> float | None:
    """The chance, in [0, 1], that one sample of the call is wrong; None when nothing was scored.

    One minus the estimate of the question alone, or, where only answers were scored, minus the mean of theirs.
    """
    if outcome.question is not None:
        return 1 - outcome.question.mean
    means = [one.estimate.mean for one in outcome.considered if one.estimate is not None]
    return 1 - fsum(means) / len(means) if means else None
