"""Every strategy of a configuration becomes exactly what it says, or is refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from adaptive_middleware import Middleware, Request
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.config import check, load, summary
from adaptive_middleware.config.build import Config
from adaptive_middleware.effects import Strategy
from adaptive_middleware.policy import dominated, fixed, optimal_stopping, worth_finishing
from adaptive_middleware.rules import Rule
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.strategies.select import calibrated_vote
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer
from adaptive_middleware.types import Belief, Candidate, Path, State

HERE = "tests.config.parts"
SCORES = {"kind": "python", "target": f"{HERE}:Scores"}


def document(prm: object = SCORES, **keys: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"version": 1, "policies": {"default": keys}}
    return {**made, "prm": prm} if prm else made


def rule(**keys: Any) -> Rule:
    (made,) = load(document(**keys)).build().rules
    return made


def strategy(**keys: Any) -> Strategy:
    return rule(**keys).strategy


def problems(**keys: Any) -> list[str]:
    result = check(document(**keys))
    assert isinstance(result, tuple), "the document is valid"
    return [problem.message for problem in result]


def applied(**keys: Any) -> dict[str, Any]:
    config = check(document(**keys))
    assert isinstance(config, Config)
    rules: Any = summary(config)["rules"]
    (made,) = rules
    return dict(made)


def test_prune_without_further_keys_has_the_documented_defaults() -> None:
    assert strategy(strategy="prune") == prune(optimal_stopping(), worth_finishing(), 16)


def test_every_key_of_prune_arrives() -> None:
    made = strategy(
        strategy="prune",
        policy={"kind": "fixed", "n": 3},
        keep={
            "kind": "worth-finishing",
            "give_up": 0.03,
            "per_tokens": 9,
            "sharpness": 1.5,
            "impatience": 3.0,
        },
        max_samples=5,
        select="calibrated-vote",
        score_question=False,
        verifier={"kind": "python", "target": f"{HERE}:Contains", "args": {"word": "4"}},
    )
    keep = worth_finishing(0.03, 9, 1.5, 3.0)
    assert made == prune(fixed(3), keep, 5, uncalibrated, calibrated_vote, score_question=False, verify=True)


def test_the_dominated_rule_and_ones_own_can_be_named() -> None:
    ruled = strategy(strategy="prune", keep={"kind": "dominated", "give_up": 0.2})
    own = strategy(
        strategy="prune", keep={"kind": "python", "target": f"{HERE}:shorter_than", "args": {"n": 2}}
    )
    assert isinstance(ruled, prune)
    assert isinstance(own, prune)
    assert ruled.keep == dominated(0.2)
    state = State((), Belief((0.5,), (1.0,)), 4)
    assert [own.keep(state, Candidate(Path(("x",) * n))) for n in (1, 2)] == [True, False]


def test_every_key_of_first_good_arrives() -> None:
    drawing: dict[str, Any] = {"policy": fixed(3), "max_samples": 3, "score_question": False}
    made = strategy(
        strategy="first-good",
        policy={"kind": "fixed", "n": 3},
        keep={"kind": "dominated"},
        good=0.8,
        by="mean",
        look=2,
        score_question=False,
    )
    otherwise = prune(**drawing, keep=dominated())
    assert made == first_good(otherwise, 0.8, "mean", 2, 3, score_question=False)
    plain = strategy(strategy="first-good", policy={"kind": "fixed", "n": 3}, otherwise="best-of-n")
    assert plain == first_good(best_of_n(fixed(3), 3), max_samples=3)


def test_every_key_of_beam_arrives() -> None:
    assert strategy(strategy="beam") == beam()
    keys: dict[str, Any] = {
        "samples": 8,
        "fanout": 2,
        "adapt": "m",
        "confidence": 0.9,
        "max_steps": 7,
        "every": 2,
    }
    made = strategy(
        strategy="beam",
        score_question=False,
        verifier={"kind": "python", "target": f"{HERE}:Contains", "args": {"word": "4"}},
        **keys,
    )
    assert made == beam(**keys, score_question=False, verify=True)


@pytest.mark.parametrize(
    ("keys", "boundary"),
    [
        ({"strategy": "prune", "steps": "lines"}, "lines"),
        ({"strategy": "beam", "steps": "paragraphs"}, "paragraphs"),
        ({"strategy": "prune"}, "auto"),
        ({"strategy": "best-of-n"}, "auto"),
    ],
)
def test_the_rule_says_where_steps_end(keys: dict[str, Any], boundary: str) -> None:
    assert rule(**keys).boundary == boundary


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"prm": None, "strategy": "prune"},
            "strategy is 'prune', which decides from scores; add 'prm', or use",
        ),
        (
            {"prm": None, "strategy": "beam"},
            "strategy is 'beam', which decides from scores; add 'prm', or use",
        ),
        ({"strategy": "beam", "fanout": 17}, "fanout is 17, more than samples (16) allows; lower it, or"),
        (
            {"strategy": "beam", "adapt": "fixed", "confidence": 0.9},
            "confidence is given, but adapt 'fixed' asks",
        ),
        (
            {"strategy": "prune", "max_samples": 2, "policy": {"kind": "fixed", "n": 3}},
            "policy.n is 3, more than",
        ),
        (
            {"strategy": "prune", "keep": {"kind": "dominant"}},
            "keep.kind is 'dominant'; did you mean 'dominated'?",
        ),
        ({"strategy": "bean"}, "strategy is 'bean'; did you mean 'beam'?"),
        (
            {"strategy": "prune", "step": "lines"},
            "unknown key 'step' in policies.default; did you mean 'steps'?",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(keys: dict[str, Any], words: str) -> None:
    (message,) = problems(**keys)
    assert words in message


def test_the_summary_fills_the_defaults_in() -> None:
    shown = applied(strategy="prune", steps="lines")
    assert shown["keep"] == {
        "kind": "worth-finishing",
        "give_up": 0.01,
        "per_tokens": 500,
        "sharpness": 2.0,
        "impatience": 2.0,
    }
    assert (shown["strategy"], shown["steps"], shown["max_samples"]) == ("prune", "lines", 16)
    beams = applied(strategy="beam", samples=8)
    assert (beams["samples"], beams["fanout"], beams["adapt"], beams["verifier"]) == (8, 4, "k", None)


def test_verifiers_of_prune_and_beam_are_asked_for_their_calls_only() -> None:
    contains = {"kind": "python", "target": f"{HERE}:Contains"}
    policies = {
        "a": {"strategy": "prune", "when": {"tags": ["a"]}, "verifier": {**contains, "args": {"word": "4"}}},
        "b": {"strategy": "beam", "when": {"tags": ["b"]}, "verifier": {**contains, "args": {"word": "5"}}},
    }
    middleware = Middleware.from_config({"version": 1, "prm": SCORES, "policies": policies})
    request = Request("q", tags=frozenset({"a"}))
    outcome = middleware.run(request, ScriptedSampler([]), streamer=ScriptedStreamer(["5", "4"]))
    assert (outcome.chosen.text, outcome.rule) == ("4", "a")
