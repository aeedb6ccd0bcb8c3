"""A film: every state that one order of one problem passes through, so that any number of policies can be asked on it.

A state depends on the samples so far, not on the policy that asked for them. So the ordinary strategy runs once per order,
drawing one sample at a time under a policy that only watches, and every policy then walks through the same states.
The tests hold that this ends where `replay` ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from adaptive_middleware.cli.replay_rows import Reel
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.policy import agreement, early_stopping, fixed, score_distribution
from adaptive_middleware.ports import Policy
from adaptive_middleware.replay import recorded_answer, replay, take
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.select import Selection
from adaptive_middleware.types import Belief, Decision, State

_BLIND = (fixed, agreement, early_stopping, score_distribution)
"""Policies that never read the score of the question alone: it is not asked for, and not paid."""

FIGURES = ("right", "samples", "generated", "prompt", "scored")
"""What is counted of one call: 0 or 1, then samples, generated, prompt and PRM tokens."""


@dataclass(frozen=True, slots=True)
class Film:
    """States after 0, 1, .. draws, and beside each: whether the leader is right, and tokens generated and scored.

    `question_tokens` are paid by every request, `question_scored` once, by policies that read the question's score.
    """

    states: tuple[State, ...]
    right: tuple[bool, ...]
    generated: tuple[int, ...]
    scored: tuple[int, ...]
    question_tokens: float
    question_scored: int


@dataclass(frozen=True, slots=True)
class _Averaged(Belief):
    """A belief whose mean is computed once, for the many policies that will ask for it."""

    average: float

    @property
    def mean(self) -> float:
        return self.average


@dataclass(frozen=True, slots=True)
class _Watcher:
    """Draws one sample at a time and keeps every state it is shown."""

    limit: int
    seen: list[State] = field(default_factory=list, repr=False)

    def __call__(self, state: State) -> Decision:
        self.seen.append(replace(state, belief=_averaged(state.belief)))
        return Decision(int(state.drawn < self.limit), "watching")


def film(one: Reel, order: Sequence[int], select: Selection, limit: int, question_tokens: float) -> Film:
    """The film of an order of at least `limit` samples; `question_tokens` is NaN where it is not known."""
    watcher = _Watcher(limit)
    replay(one.tape, strategy(one, watcher, select, limit), order)
    states = tuple(watcher.seen)
    candidates = states[-1].candidates
    scores = [candidate.scores.tokens if candidate.scores else 0 for candidate in candidates]
    return Film(
        states,
        tuple(
            state.leader is not None and take(candidates[state.leader.index].path).correct for state in states
        ),
        tuple(accumulate((one.path.usage.completion_tokens for one in candidates), initial=0)),
        tuple(accumulate(scores, initial=0)),
        question_tokens,
        one.tape.question.tokens,
    )


def strategy(one: Reel, policy: Policy, select: Selection, limit: int) -> best_of_n:
    """The ordinary best-of-N under `policy`, scoring what the view has scores for."""
    asks = bool(one.tape.question.values) and not isinstance(policy, _BLIND)
    return best_of_n(
        policy,
        max_samples=limit,
        calibrate=one.calibrate,
        select=select,
        answer=recorded_answer,
        score=one.tape.scored or asks,
        score_question=asks,
        verify=one.verified,
    )


def walk(shown: Film, policy: Policy, cap: int) -> tuple[float, ...]:
    """The figures of one call under `policy` with at most `cap` samples, in the order of `FIGURES`.

    Every request pays the question's tokens once, however many samples it draws. Raises `SamplerError` when
    the policy draws nothing at all, as a live call would.
    """
    drawn = requests = 0
    last = len(shown.states) - 1
    while (more := min(_more(policy, shown.states[drawn], cap), min(cap, last) - drawn)) > 0:
        drawn, requests = drawn + more, requests + 1
    if not drawn:
        message = f"{policy!r} draws nothing: a policy must ask for at least one sample of a fresh call"
        raise SamplerError(message)
    prompt = requests * shown.question_tokens
    scored = shown.scored[drawn] + (0 if isinstance(policy, _BLIND) else shown.question_scored)
    return (float(shown.right[drawn]), drawn, shown.generated[drawn], prompt, scored)


def _more(policy: Policy, state: State, cap: int) -> int:
    decided = policy(state if state.limit == cap else replace(state, limit=cap))
    return decided.more if isinstance(decided, Decision) else decided


def _averaged(belief: Belief) -> Belief:
    return _Averaged(belief.support, belief.weights, belief.mean)
