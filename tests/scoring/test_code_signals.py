"""Scores of code without a model: they reject what cannot run, promise nothing, and spare a model the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest

from adaptive_middleware.engine import checked_scores, run
from adaptive_middleware.errors import ScorerError
from adaptive_middleware.policy import dominated, fixed
from adaptive_middleware.ports import ConcurrentScorer, Ports
from adaptive_middleware.scoring.code_checked import code_checked
from adaptive_middleware.scoring.code_signals import code_signals
from adaptive_middleware.steps import split_steps
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer
from adaptive_middleware.types import Path, Request, StepScores

QUESTION = Request("Write it.\nassert area(1) > 3")


def path(text: str, *, done: bool = True) -> Path:
    return Path(tuple(split_steps(text, "code")), done=done)


GOOD = path("```python\nimport math\ndef area(r):\n    s = r * r\n    return math.pi * s\n```\n")
LACKS = path("```python\ndef area(r):\n    s = r * r\n    return math.pi * s\n```\n")
OTHER = path("```python\ndef disc(r):\n    return pi\n```\n")
BROKEN = path("```python\nimport math\ndef area(r):\n    s = r * r\n    t = = 1\n    return s\n```\nDone.")
CUT = path("```python\ndef area(r):\n    s = [\n")
PROSE = path("It is pi r squared.")


def scores(paths: Sequence[Path], request: Request = QUESTION) -> list[tuple[float, ...]]:
    found = code_signals().score(request, paths)
    assert checked_scores(paths, found) == found
    return [one.values for one in found]


def test_scores_reject_and_never_promise() -> None:
    found = scores([GOOD, LACKS, OTHER, CUT, PROSE, Path()])
    assert [one[-1] for one in found] == [0.5, 0.25, 0.5 / 3, 0.0, 0.0, 0.5]


def test_from_the_first_broken_step_on_every_step_scores_nothing() -> None:
    (found,) = scores([BROKEN])
    assert [bool(one) for one in found] == [
        "= =" not in "".join(BROKEN.steps[: i + 1]) for i in range(len(found))
    ]
    assert found[:2] == (0.5, 0.5)
    assert found[-1] == 0.0


def test_what_is_still_being_written_may_lack_what_a_finished_answer_must_not() -> None:
    partial = [Path(one.steps, done=False) for one in (CUT, PROSE, OTHER)]
    assert [one[-1] for one in scores(partial)] == [0.5, 0.5, 0.25]


def test_a_question_that_is_code_is_completed_by_the_answer() -> None:
    completed = Request("import math\n\n\ndef area(r):\n    '''The area.'''\n")
    assert [
        one[-1]
        for one in scores([Path(("    return math.pi * r ** 2\n",)), Path(("    return pi\n",))], completed)
    ] == [0.5, 0.25]


def test_the_named_function_is_wanted_whatever_the_question_shows() -> None:
    (found,) = code_signals("disc").score(QUESTION, [path("```python\ndef disc(r):\n    return 3\n```\n")])
    assert found.values[-1] == 0.5


@pytest.mark.parametrize(
    "strategy",
    [best_of_n(fixed(3), score_question=False), prune(fixed(3), keep=dominated(), score_question=False)],
)
def test_strategies_run_on_them_and_return_what_may_be_right(strategy: best_of_n | prune) -> None:
    paths = [BROKEN, LACKS, GOOD]
    ports = Ports(ScriptedSampler(paths), code_signals(), streamer=ScriptedStreamer(paths))
    assert run(strategy(QUESTION), ports).chosen.text == GOOD.text


def test_an_answer_that_breaks_is_dropped_where_it_breaks_and_its_rest_is_never_read() -> None:
    streamer = ScriptedStreamer([GOOD, BROKEN])
    ports = Ports(ScriptedSampler([GOOD]), code_signals(), streamer=streamer)
    outcome = run(prune(fixed(2), keep=dominated(), score_question=False)(QUESTION), ports)
    assert outcome.chosen.text == GOOD.text
    (dropped,) = streamer.dropped
    assert dropped == "".join(BROKEN.steps[:3])
    assert "= =" in dropped
    assert "return s" not in dropped


@dataclass
class Prm:
    id: str = "prm"
    seen: list[Path] = field(default_factory=list)

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        self.seen += paths
        return [StepScores((0.9,) * max(len(one.steps), 1), tokens=7) for one in paths]


class Concurrent(Prm):
    @property
    def concurrent(self) -> Literal[True]:
        return True

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return self.score(request, paths)


def test_a_model_behind_the_check_never_reads_broken_code() -> None:
    prm = Prm()
    checked = code_checked(prm)
    found = checked.score(QUESTION, [BROKEN, GOOD, CUT, LACKS])
    assert prm.seen == [GOOD, LACKS]
    assert [one.tokens for one in found] == [0, 7, 0, 7]
    assert [one.values[-1] for one in found] == [0.0, 0.9, 0.0, 0.9]
    assert checked.score(QUESTION, [BROKEN])[0].values[-1] == 0.0
    assert not isinstance(checked, ConcurrentScorer)


def test_a_model_that_takes_calls_from_anywhere_still_does_and_keeps_its_name() -> None:
    prm = Concurrent()
    checked = code_checked(prm, "area")
    assert isinstance(checked, ConcurrentScorer)
    assert checked.concurrent is True
    found = asyncio.run(checked.ascore(QUESTION, [CUT, GOOD]))
    assert [one.values[-1] for one in found] == [0.0, 0.9]
    assert asyncio.run(checked.ascore(QUESTION, [CUT]))[0].values[-1] == 0.0
    assert prm.seen == [GOOD]
    assert checked.id == "prm"  # type: ignore[attr-defined]
    alone = code_signals()
    assert (alone.id, alone.concurrent) == ("code-signals", True)
    assert asyncio.run(alone.ascore(QUESTION, [CUT])) == alone.score(QUESTION, [CUT])


def test_scores_that_cannot_be_attributed_are_refused() -> None:
    class Short(Prm):
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            return []

    with pytest.raises(ScorerError, match="0 score sets for 1 paths"):
        code_checked(Short()).score(QUESTION, [GOOD, CUT])
