from __future__ import annotations

import json

from adaptive_middleware import Middleware, Request, best_of_n, fixed, optimal_stopping, report
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.types import Outcome

REQUEST = Request("What is 2 + 2?")


def test_a_call_that_only_passed_through_has_no_report() -> None:
    assert report(Middleware().run(REQUEST, ScriptedSampler(["4"]))) is None


def test_a_single_sample_that_was_only_drawn_has_no_report_but_a_scored_one_has() -> None:
    single = best_of_n(fixed(1), max_samples=1)
    drawn = Middleware(best_of_n(fixed(1), max_samples=1, score=False)).run(REQUEST, ScriptedSampler(["4"]))
    scored = Middleware(single, scorer=TableScorer(0.7)).run(REQUEST, ScriptedSampler(["4"]))
    assert report(drawn) is None
    told = report(scored)
    assert told is not None
    assert told["p"] == 0.7


def test_a_degraded_pass_through_has_one() -> None:
    told = report(Outcome(answer("4"), degraded=("PRM down",)))
    assert told is not None
    assert told["degraded"] == ["PRM down"]
    assert told["p"] is None


def test_the_report_explains_the_decision_in_plain_json() -> None:
    middleware = Middleware(best_of_n(optimal_stopping(), max_samples=8), scorer=TableScorer(0.97))
    told = report(
        middleware.run(REQUEST, ScriptedSampler([answer("2 + 2 = 4\nThe answer is 4.", tokens=10)]))
    )
    assert told is not None
    assert json.loads(json.dumps(told)) == told
    assert told["p"] == told["lower"] == 0.97
    assert told["samples"] == 1
    assert told["calibrated"] is False
    assert told["fixed_n"] == {"n": 8, "completion_tokens": 80}
    assert told["candidates"] == [
        {
            "answer": "4",
            "estimate": {"mean": 0.97, "lower": 0.97, "upper": 0.97},
            "step_scores": [0.97, 0.97],
            "verified": None,
            "completion_tokens": 10,
        }
    ]


def test_a_vote_reports_no_probability_and_its_ties() -> None:
    middleware = Middleware(best_of_n(fixed(2), score=False))
    told = report(middleware.run(REQUEST, ScriptedSampler(["4", "5"])))
    assert told is not None
    assert (told["p"], told["tied"], told["selected_by"]) == (None, True, "majority vote")
