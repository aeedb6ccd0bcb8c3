"""The protocol as a dialogue: a strategy is stepped by hand, with no double at all."""

import pytest

from adaptive_middleware.effects import Sample, Score
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Request, State, StepScores


def two_then_stop(state: State) -> int:
    return 2 - state.drawn


def test_script_without_any_double() -> None:
    request = Request("2 + 2?")
    flow = best_of_n(two_then_stop, max_samples=4)(request)

    question = next(flow)
    assert isinstance(question, Score)
    assert [path.steps for path in question.paths] == [()]

    assert flow.send([StepScores((0.5,), tokens=4)]) == Sample(request, 2)

    paths = (answer("5"), answer("4"))
    assert flow.send(paths) == Score(request, paths)

    with pytest.raises(StopIteration) as end:
        flow.send([StepScores((0.2,), tokens=5), StepScores((0.9,), tokens=5)])
    outcome = end.value.value
    assert outcome.chosen.text == "4"
    assert outcome.usage.prm_tokens == 14
    assert outcome.usage.completion_tokens == 2
    assert [decision.more for decision in outcome.decisions] == [2, 0]
