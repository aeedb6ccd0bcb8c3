from __future__ import annotations

import json

from adaptive_middleware import Middleware, Request, best_of_n, fixed, optimal_stopping, report
from adaptive_middleware.strategies.effort import Rung, effort
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, TableScorer, answer
from adaptive_middleware.types import Candidate, Outcome, Path, Verdict

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
            "rejected": None,
            "completion_tokens": 10,
        }
    ]


def test_a_candidate_that_failed_its_check_says_why() -> None:
    failed = Candidate(answer("5"), verdict=Verdict(passed=False, detail="not 4"))
    unsure = Candidate(answer("4"), verdict=Verdict(None, "no opinion"))
    told = report(Outcome(answer("4"), considered=(failed, unsure), degraded=("x",)))
    assert told is not None
    shown = told["candidates"]
    assert isinstance(shown, list)
    assert [(one["verified"], one["rejected"]) for one in shown] == [(False, "not 4"), (None, None)]


def test_a_vote_reports_no_probability_and_its_ties() -> None:
    middleware = Middleware(best_of_n(fixed(2), score=False))
    told = report(middleware.run(REQUEST, ScriptedSampler(["4", "5"])))
    assert told is not None
    assert (told["p"], told["tied"], told["selected_by"]) == (None, True, "majority vote")


def test_answers_that_were_not_finished_are_told_with_what_they_cost() -> None:
    strategy = prune(fixed(2), lambda state, one: int(one.path.text.startswith("so")))
    middleware = Middleware(strategy, scorer=TableScorer(0.4))
    streamer = ScriptedStreamer(["well it is\n\n5", "so it is\n\n4"])
    told = report(middleware.run(REQUEST, ScriptedSampler([]), streamer=streamer))
    assert told is not None
    assert told["dropped"] == [{"steps": 1, "p": 0.4, "completion_tokens": 3}]
    assert (told["samples"], told["shown_from"], told["rung"]) == (2, None, None)
    assert json.loads(json.dumps(told)) == told


def test_an_answer_dropped_without_scores_has_no_probability() -> None:
    outcome = Outcome(answer("4"), degraded=("x",), dropped=(Candidate(Path(("a",), done=False)),))
    told = report(outcome)
    assert told is not None
    assert told["dropped"] == [{"steps": 1, "p": None, "completion_tokens": 0}]


def test_an_answer_that_was_shown_early_says_from_where_and_one_of_a_rung_which() -> None:
    shown = Middleware(first_good(best_of_n(fixed(2)), look=2), scorer=TableScorer(0.95))
    told = report(shown.run(REQUEST, ScriptedSampler([]), streamer=ScriptedStreamer(["a\n\nb\n\n4"])))
    assert told is not None
    assert (told["shown_from"], told["rung"], told["selected_by"]) == (0, None, "shown while it was written")
    rungs = Middleware(effort((Rung("easy", 0.5), Rung("hard"))), scorer=TableScorer(0.2))
    graded = report(rungs.run(REQUEST, ScriptedSampler(["4"])))
    assert graded is not None
    assert (graded["rung"], graded["shown_from"]) == ("hard", None)
