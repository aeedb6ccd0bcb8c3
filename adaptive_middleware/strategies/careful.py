"""Careful with tools: a call that must not be wrong is sampled until it is sure enough, or it is not returned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.effects import Flow
from adaptive_middleware.policy.per_tool import per_tool
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.tool_rules import ToolRule, rule_of
from adaptive_middleware.types import Outcome, Path

ADVICE = "Ask for what is missing, or let a person decide."


def careful(strategy: best_of_n | prune, rules: Sequence[ToolRule]) -> best_of_n | prune:
    """The strategy with the `rules` of tools: samples are drawn `per_tool`, and ignored arguments do not tell calls apart.

    An answer function of the strategy's own stays. A call that misses its target is withheld by the guard
    `abstaining`, which a `Rule` with the same `tools` puts around the strategy.
    """
    from adaptive_middleware.code.canonical import program_answer  # noqa: PLC0415 - a parser costs import time

    answer = strategy.answer
    if answer is canonical_answer:
        answer = partial(canonical_answer, rules=tuple(rules))
    elif answer is program_answer:
        answer = partial(program_answer, rules=tuple(rules))
    return replace(strategy, policy=per_tool(strategy.policy, tuple(rules)), answer=answer)


def abstaining(flow: Flow[Outcome], rules: Sequence[ToolRule]) -> Flow[Outcome]:
    """Withhold an answer with a call that its rule says to abstain from: the guard for calls that cannot be undone.

    Such an answer is returned only when it is right with a known probability of at least the `target`; so not after a
    failed strategy, or without scores. Instead the caller gets an answer in words, without calls, that says why:
    `Outcome.abstained` says it too, and `choice` points at the answer that was withheld. What was shown while it was written
    cannot be withheld: do not use it around such a strategy.
    """
    outcome = yield from flow
    reasons = list(_missed(outcome, rules))
    if not reasons:
        return outcome
    why = "; ".join(reasons)
    said = Path((f"No tool was called: {why}. {ADVICE}",), done=False, finish_reason="stop")
    return replace(outcome, chosen=said, abstained=why)


def _missed(outcome: Outcome, rules: Sequence[ToolRule]) -> Iterator[str]:
    """Why each tool of the chosen answer must not be called."""
    p = None if outcome.choice is None else outcome.choice.probability
    for name in dict.fromkeys(call.name for call in outcome.chosen.tool_calls):
        rule = rule_of(name, rules)
        if rule is None or rule.target is None or rule.on_fail != "abstain":
            continue
        if p is None:
            reached = "the probability of its call is not known"
        elif p < rule.target:
            reached = f"the best of {len(outcome.considered)} answers reaches {p:.3f}"
        else:
            continue
        yield f"{name} must be right with probability {rule.target:g}, and {reached}"
