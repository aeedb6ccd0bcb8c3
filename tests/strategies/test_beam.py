from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.engine import run
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.strategies.guards import within
from adaptive_middleware.types import Path, Request, StepScores, Usage


class Digits:
    """Continues every path by a digit; three digits are an answer. Each step costs one token."""

    def sample(self, request: Request, n: int) -> list[Path]:
        return [Path(("9",), usage=Usage(completion_tokens=3)) for _ in range(n)]

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        grown = [(*path.steps, str(i)) for path in paths for i in range(fanout)]
        return [Path(s, done=len(s) == 3, usage=Usage(completion_tokens=1)) for s in grown]


class Sum:
    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return [StepScores(tuple(0.1 + int(s) / 100 for s in p.steps) or (0.1,)) for p in paths]


REQUEST = Request("q")


def test_fixed_beam_pays_each_extension_once_and_each_path_its_own_steps() -> None:
    sampler = Digits()
    outcome = run(beam(4, 2, "fixed")(REQUEST), Ports(sampler, Sum(), extender=sampler))
    assert outcome.usage.completion_tokens == 4 + 2 * 2 + 2 * 2
    assert outcome.chosen.usage.completion_tokens == 3
    assert len(outcome.considered) == 4
    assert len(outcome.dropped) == 4 - 2 + 4 - 2


def test_where_answers_cannot_be_continued_the_call_goes_on_and_says_so() -> None:
    outcome = run(beam(4, 2)(REQUEST), Ports(Digits(), Sum()))
    assert outcome.chosen.text == "9"
    assert [cause.split(":")[0] for cause in outcome.degraded] == ["NotContinuing", "NotStreaming"]


def test_at_the_step_limit_the_best_open_answer_is_returned_as_cut_off() -> None:
    sampler = Digits()
    outcome = run(beam(4, 2, "fixed", max_steps=2)(REQUEST), Ports(sampler, Sum(), extender=sampler))
    assert outcome.chosen.finish_reason == "length"
    assert any("no answer was finished" in cause for cause in outcome.degraded)


class Same(Digits):
    """Continues every path by the same step."""

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        grown = [(*path.steps, "1") for path in paths for _ in range(fanout)]
        return [Path(s, done=len(s) == 3, usage=Usage(completion_tokens=1)) for s in grown]


def test_equal_beams_that_are_pruned_are_reported_each() -> None:
    outcome = run(beam(4, 2, "fixed")(REQUEST), Ports(Same(), Sum(), extender=Same()))
    assert len(outcome.dropped) == 4 - 2 + 4 - 2


def test_no_path_is_continued_once_the_token_budget_is_spent() -> None:
    sampler = Digits()
    flow = within(beam(4, 2, "fixed")(REQUEST), tokens=8)
    outcome = run(flow, Ports(sampler, Sum(), extender=sampler))
    assert outcome.usage.completion_tokens == 8
    assert any("TokensExceeded" in cause for cause in outcome.degraded)
