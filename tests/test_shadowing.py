"""A policy in shadow changes nothing for the caller: one plain call, at once, and the decision is told afterwards."""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed, pass_through
from adaptive_middleware.config import load
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.ports import Ports
from adaptive_middleware.report import report
from adaptive_middleware.shadowing import Shadowing, nothing_drawn
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, TableScorer
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Outcome, Path, StepScores

REQUEST = Request("What is 2 + 2?")
RULE = Rule("code", best_of_n(fixed(3)), seconds=0.001, tools=(ToolRule("*", target=0.99),), shadow=True)


@dataclass
class Told:
    """An observer that keeps what it is told."""

    calls: list[tuple[Outcome, float]] = field(default_factory=list)

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        assert request.deadline is None
        self.calls.append((outcome, seconds))


def middleware(told: Told, rule: Rule = RULE) -> Middleware:
    return Middleware(rules=[rule], scorer=TableScorer(0.5), observers=[told])


def test_the_caller_gets_one_plain_call_without_a_report() -> None:
    told, sampler = Told(), ScriptedSampler(["It is 4."])
    made = middleware(told)
    outcome = made.run(REQUEST, sampler)
    assert sampler.calls == [1]
    assert (outcome.chosen.text, outcome.strategy, outcome.rule, outcome.considered) == (
        "It is 4.",
        "pass-through",
        "code",
        (),
    )
    assert report(outcome) is None
    waited(made)
    assert sampler.calls == [1]


async def test_observers_are_told_the_decision_once_however_the_call_was_made() -> None:
    told = Told()
    made = middleware(told)
    made.run(REQUEST, ScriptedSampler(["4"]))
    await made.arun(REQUEST, ScriptedSampler(["4"]))
    list(made.stream(REQUEST, ScriptedSampler(["4"])))
    assert [one async for one in made.astream(REQUEST, ScriptedSampler(["4"]))]
    waited(made)
    assert [(outcome.shadow, outcome.rule, outcome.chosen.text) for outcome, _ in told.calls] == [
        (3, "code", "4")
    ] * 4
    assert all(outcome.id is not None and seconds >= 0 for outcome, seconds in told.calls)
    details = report(told.calls[0][0])
    assert details is not None
    assert (details["shadow"], details["samples"], details["max_samples"]) == (3, 1, 16)


async def test_a_caller_that_watches_sees_the_plain_answer_while_it_is_written() -> None:
    told = Told()
    made = middleware(told)
    *seen, outcome = list(
        made.stream(REQUEST, ScriptedSampler([]), streamer=ScriptedStreamer(["One.\n\nTwo."]))
    )
    assert [one.text for one in seen if isinstance(one, Path)] == ["One.\n\n", "One.\n\nTwo."]
    assert isinstance(outcome, Outcome)
    assert outcome.chosen.text == "One.\n\nTwo."
    watched = made.astream(REQUEST, ScriptedSampler([]), streamer=ScriptedStreamer(["One.\n\nTwo."]))
    assert len([one async for one in watched]) == 3
    waited(made)
    assert [one.shadow for one, _ in told.calls] == [3, 3]


class Waiting:
    """A scorer that waits until it is let go."""

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), threading.Event()

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        self.asked.set()
        self.go.wait(10)
        return [StepScores((0.5,))] * len(paths)


def test_the_caller_does_not_wait_for_the_decision() -> None:
    told, scorer = Told(), Waiting()
    made = Middleware(rules=[RULE], scorer=scorer, observers=[told])
    made.run(REQUEST, ScriptedSampler(["4"]))
    assert scorer.asked.wait(10)
    assert told.calls == []
    scorer.go.set()
    waited(made)
    assert len(told.calls) == 1


def test_what_would_wait_too_long_is_told_as_the_plain_call_it_was(caplog: pytest.LogCaptureFixture) -> None:
    told, scorer = Told(), Waiting()
    shadowing = Shadowing(Ports(nothing_drawn, scorer), told.ended, most=1)
    plain = Outcome(Path(("4",)))
    shadowing.put(RULE, REQUEST, plain, 0.1)
    assert scorer.asked.wait(10)
    for _ in range(3):
        shadowing.put(RULE, REQUEST, plain, 0.1)
    assert [outcome.shadow for outcome, _ in told.calls] == [None, None]
    assert len(caplog.records) == 1
    scorer.go.set()
    shadowing.wait()
    assert [outcome.shadow for outcome, _ in told.calls] == [None, None, 3, 3]


def failing(request: Request) -> object:
    message = "a strategy that cannot even begin"
    raise RuntimeError(message)


def test_a_decision_that_fails_is_logged_and_the_call_is_told_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    made = middleware(told, Rule("bad", failing, shadow=True))  # type: ignore[arg-type]
    assert made.run(REQUEST, ScriptedSampler(["4"])).chosen.text == "4"
    waited(made)
    assert [(outcome.shadow, outcome.rule) for outcome, _ in told.calls] == [(None, "bad")]
    assert "cannot even begin" in caplog.text


def test_without_observers_the_decision_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="adaptive_middleware.shadowing")
    made = Middleware(rules=[RULE])
    made.run(REQUEST, ScriptedSampler(["4"]))
    waited(made)
    assert "code: shadow: at least 3 samples would have been drawn" in caplog.text


def test_errors_of_the_plain_call_are_the_callers_and_nothing_is_decided() -> None:
    told = Told()
    made = middleware(told)
    with pytest.raises(SamplerError, match="gone"):
        made.run(REQUEST, ScriptedSampler([SamplerError("gone")]))
    waited(made)
    assert told.calls == []


def test_nothing_can_be_drawn_in_shadow() -> None:
    with pytest.raises(SamplerError, match="asked for 2 samples"):
        nothing_drawn.sample(REQUEST, 2)


def test_a_plain_policy_has_nothing_to_decide_and_passes_through() -> None:
    assert Rule("plain", pass_through, seconds=3, shadow=True).passes_through
    assert not RULE.passes_through
    told = Told()
    middleware(told, Rule("plain", pass_through, seconds=3, shadow=True)).run(REQUEST, ScriptedSampler(["4"]))
    assert [outcome.shadow for outcome, _ in told.calls] == [None]


def test_a_middleware_in_shadow_can_be_pickled() -> None:
    made = Middleware(rules=[Rule("code", best_of_n(fixed(3)), shadow=True)], observers=[Told()])
    made.run(REQUEST, ScriptedSampler(["4"]))
    again: Middleware = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own bytes
    assert again.run(REQUEST, ScriptedSampler(["4"])).chosen.text == "4"
    waited(again)


@pytest.mark.parametrize(
    ("everywhere", "own", "shadow"),
    [
        (None, None, False),
        ("shadow", None, True),
        ("shadow", "active", False),
        ("active", "shadow", True),
        (None, "shadow", True),
    ],
)
def test_the_mode_of_a_policy_is_its_own_or_that_of_all(
    everywhere: str | None, own: str | None, shadow: bool
) -> None:
    policy = {"strategy": "best-of-n", **({} if own is None else {"mode": own})}
    shared = {} if everywhere is None else {"mode": everywhere}
    plan = load({"version": 1, **shared, "policies": {"default": policy}}).build()
    assert plan.rules[0].shadow is shadow


def waited(middleware: Middleware) -> None:
    assert middleware._now.shadowing is not None
    middleware._now.shadowing.wait()
