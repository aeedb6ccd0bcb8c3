"""A check that can only reject is a filter: it never ends a call, and what it rejects never wins."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.engine import run
from adaptive_middleware.policy import fixed, optimal_stopping
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify.rejecting import rejecting

SCORES = {"wrong": 0.99, "weak": 0.3, "strong": 0.8}


class Public:
    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        known = {"wrong": False, "odd": None}
        return [Verdict(known.get(one.text, True), "3 tests" * (one.text == "weak")) for one in paths]


def test_passes_become_undecided_and_everything_else_stays() -> None:
    found = rejecting(Public()).verify(
        Request("q"), [Path((one,)) for one in ("wrong", "odd", "weak", "strong")]
    )
    assert [one.passed for one in found] == [False, None, None, None]
    assert [one.detail for one in found] == [
        "",
        "",
        "passed: 3 tests",
        "passed, which does not make it right",
    ]


def test_scores_decide_among_what_was_not_rejected_and_no_pass_ends_the_call() -> None:
    sampler, scorer = ScriptedSampler(SCORES), TableScorer(lambda path: [SCORES.get(path.text, 0.5)])
    outcome = run(
        best_of_n(fixed(3), verify=True)(Request("q")), Ports(sampler, scorer, verifier=rejecting(Public()))
    )
    assert outcome.chosen.text == "strong"
    assert outcome.choice is not None
    assert outcome.choice.probability == 0.8


def test_the_belief_knows_what_was_rejected() -> None:
    scorer = TableScorer(0.5)
    ports = Ports(ScriptedSampler(["wrong"]), scorer, verifier=rejecting(Public()))
    outcome = run(
        best_of_n(optimal_stopping(give_up=0.2), verify=True, score_question=False)(Request("q")), ports
    )
    assert len(outcome.considered) == 4
    assert "more will not help" in outcome.decisions[-1].because
