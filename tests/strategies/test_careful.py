"""A call that must not be wrong gets the samples it needs, or is not made; a harmless one costs one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed, optimal_stopping, prune, report
from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.policy import per_tool
from adaptive_middleware.ports import Scorer
from adaptive_middleware.strategies.careful import careful
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, TableScorer
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Estimate, Outcome, Path, State, StepScores, ToolCall, Usage
from adaptive_middleware.verify.tool_schema import tool_schema

RULES = (
    ToolRule("deploy", target=0.97, on_fail="abstain"),
    ToolRule("restart", target=0.97),
    ToolRule("search", samples=1),
)
REQUEST = Request("Ship it.")


def call(name: str, p: float, *, text: str = "") -> Path:
    """An answer that calls a tool, and that the scorer below takes to be right with probability `p`."""
    usage = Usage(completion_tokens=10, requests=1)
    return Path(
        (text,) if text else (),
        tool_calls=(ToolCall(name, {"p": p}),),
        finish_reason="tool_calls",
        usage=usage,
    )


def reading(path: Path) -> Sequence[float]:
    p = float(str(path.tool_calls[0].arguments["p"])) if path.tool_calls else 0.5
    return [p] * max(len(path.steps), 1)


SCORER = TableScorer(reading)


def answered(
    script: list[Path | Exception],
    strategy: best_of_n | prune | None = None,
    *,
    scorer: Scorer | None = SCORER,
    **limits: Any,
) -> tuple[Outcome, ScriptedSampler]:
    sampler = ScriptedSampler(script)
    made = careful(best_of_n(optimal_stopping(), max_samples=6) if strategy is None else strategy, RULES)
    middleware = Middleware(
        rules=[Rule("tools", made, tools=RULES, **limits)], scorer=scorer, verifier=tool_schema()
    )
    return middleware.run(REQUEST, sampler), sampler


def test_a_read_only_call_passes_with_one_sample_however_unsure() -> None:
    outcome, sampler = answered([call("search", 0.2)], best_of_n(fixed(6)))
    assert sampler.calls == [1]
    assert outcome.chosen == call("search", 0.2)
    assert outcome.abstained is None


def test_a_call_that_cannot_be_undone_is_sampled_until_it_is_sure_enough() -> None:
    outcome, sampler = answered([call("deploy", p) for p in (0.5, 0.96, 0.98, 0.99)])
    assert sum(sampler.calls) == 3
    assert outcome.chosen == call("deploy", 0.98)
    assert outcome.abstained is None


def test_a_call_that_stays_unsure_is_withheld_and_the_agent_is_told() -> None:
    outcome, sampler = answered([call("deploy", p) for p in (0.5, 0.6, 0.4, 0.6, 0.3, 0.2)])
    why = "deploy must be right with probability 0.97, and the best of 6 answers reaches 0.600"
    assert sum(sampler.calls) == 6
    assert outcome.abstained == why
    assert outcome.chosen == Path(
        (f"No tool was called: {why}. Ask for what is missing, or let a person decide.",),
        done=False,
        finish_reason="stop",
    )
    assert outcome.choice is not None
    assert outcome.considered[outcome.choice.index].path == call("deploy", 0.6)
    assert outcome.usage.completion_tokens == 60


def test_without_abstain_the_best_call_is_returned_when_its_samples_are_spent() -> None:
    outcome, sampler = answered([call("restart", p) for p in (0.5, 0.6, 0.4, 0.6, 0.3, 0.2)])
    assert sum(sampler.calls) == 6
    assert outcome.chosen == call("restart", 0.6)
    assert outcome.abstained is None


def test_the_report_says_that_and_why_a_call_was_withheld() -> None:
    outcome, _ = answered([call("deploy", 0.5)], best_of_n(fixed(1), max_samples=1), scorer=None)
    told = report(outcome)
    assert told is not None
    assert told["abstained"] == (
        "deploy must be right with probability 0.97, and the probability of its call is not known"
    )
    sure = report(answered([call("deploy", 0.98)])[0])
    assert sure is not None
    assert (sure["abstained"], sure["p"]) == (None, 0.98)


def test_answers_in_words_and_other_tools_are_left_to_the_policy() -> None:
    for path in (Path(("I need the version.",)), call("other", 0.5)):
        outcome, sampler = answered([path], best_of_n(fixed(4)))
        assert sampler.calls == [1, 3]
        assert outcome.chosen == path


class Broken:
    """A scorer that fails."""

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        message = "no memory"
        raise RuntimeError(message)


def failing(state: State) -> int:
    """A policy that fails once it has seen an answer."""
    return 1 if not state.drawn else 1 // 0


def no_estimate(path: Path, scores: StepScores) -> Estimate:
    """A calibration that fails."""
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("strategy", "scorer", "limits"),
    [
        (best_of_n(fixed(1)), Broken(), {}),
        (best_of_n(fixed(1)), None, {}),
        (best_of_n(failing), SCORER, {}),
        (best_of_n(fixed(1), calibrate=no_estimate), SCORER, {}),
        (best_of_n(fixed(1)), TableScorer(0.5), {"tokens": 15}),
        (best_of_n(fixed(1), max_samples=1), TableScorer(0.5), {}),
        (prune(fixed(1)), TableScorer(0.5), {}),
    ],
    ids=["scorer fails", "no scorer", "policy fails", "calibration fails", "tokens spent", "limit", "prune"],
)
def test_whatever_fails_or_runs_out_an_unsure_call_is_not_made(
    strategy: best_of_n | prune, scorer: Scorer | None, limits: dict[str, Any]
) -> None:
    outcome, _ = answered([call("deploy", 0.99)], strategy, scorer=scorer, **limits)
    assert outcome.abstained is not None
    assert outcome.chosen.tool_calls == ()


def test_a_rule_around_a_plain_call_withholds_it_because_nothing_is_known() -> None:
    rule = Rule("plain", pass_through, tools=RULES)
    assert not rule.passes_through
    outcome = Middleware(rules=[rule]).run(REQUEST, ScriptedSampler([call("deploy", 0.99)]))
    assert outcome.abstained is not None


def test_a_rejected_call_is_never_sure() -> None:
    strategy = best_of_n(fixed(1), max_samples=2, verify=True)
    garbled = Path(
        (" ",), tool_calls=(ToolCall("deploy", {"p": 0.99}, "1"), ToolCall("deploy", {"p": 0.99}, "1"))
    )
    outcome, _ = answered([garbled], strategy)
    assert (
        outcome.abstained
        == "deploy must be right with probability 0.97, and the best of 2 answers reaches 0.000"
    )


def test_one_unsure_call_withholds_the_whole_answer_and_every_reason_is_given_once() -> None:
    both = Path(tool_calls=(ToolCall("search", {"p": 0.5}), *[ToolCall("deploy", {"p": 0.5})] * 2))
    outcome, _ = answered([both], best_of_n(fixed(1), max_samples=2))
    assert (
        outcome.abstained
        == "deploy must be right with probability 0.97, and the best of 2 answers reaches 0.500"
    )


def test_the_errors_of_the_sampler_stay_errors() -> None:
    with pytest.raises(ZeroDivisionError):
        answered([ZeroDivisionError()])
    with pytest.raises(SamplerError):
        answered([Path(error="down")])


def test_open_answers_that_call_tools_are_withheld_too() -> None:
    steps = ("I look.\n\n", "I ship.\n\n")
    whole = Path(steps, tool_calls=(ToolCall("deploy", {"p": 0.5}),), usage=Usage(completion_tokens=5))
    rule = Rule("tools", careful(prune(fixed(2), max_samples=3), RULES), tools=RULES)
    middleware = Middleware(rules=[rule], scorer=TableScorer(0.6))
    outcome = middleware.run(REQUEST, ScriptedSampler([]), streamer=ScriptedStreamer([whole]))
    assert outcome.strategy.startswith("prune")
    assert (len(outcome.considered), outcome.chosen.tool_calls) == (3, ())


async def test_both_drivers_withhold_the_same() -> None:
    made = careful(best_of_n(optimal_stopping(), max_samples=3), RULES)
    middleware = Middleware(rules=[Rule("tools", made, tools=RULES)], scorer=SCORER)
    script = [call("deploy", 0.5), call("deploy", 0.6)]
    assert await middleware.arun(REQUEST, ScriptedSampler(script)) == middleware.run(
        REQUEST, ScriptedSampler(script)
    )


@given(st.lists(st.tuples(st.sampled_from(["deploy", "restart", "search"]), st.floats(0, 1)), min_size=1))
def test_a_call_that_must_be_sure_is_returned_exactly_when_it_is(drawn: list[tuple[str, float]]) -> None:
    outcome, _ = answered([call(name, p) for name, p in drawn])
    assert outcome.choice is not None
    best = outcome.considered[outcome.choice.index].path
    ((name, p),) = [(one.name, float(str(one.arguments["p"]))) for one in best.tool_calls]
    withheld = name == "deploy" and p < 0.97
    assert (outcome.abstained is not None) is withheld
    assert (outcome.chosen is best) is not withheld


def test_ignored_arguments_do_not_tell_calls_apart_and_an_own_answer_stays() -> None:
    rules = (ToolRule("search", ignore=("why",)),)
    first, second = (Path(tool_calls=(ToolCall("search", {"q": 1, "why": why}),)) for why in ("a", "b"))
    made = careful(best_of_n(fixed(1)), rules)
    assert made.answer(first) == made.answer(second) != canonical_answer(first)
    assert made.policy == per_tool(fixed(1), rules)
    own = best_of_n(fixed(1), answer=lambda path: path.text)
    assert careful(own, rules).answer is own.answer
