from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from adaptive_middleware.engine import run
from adaptive_middleware.errors import NotContinuing
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.strategies.guards import fail_open, within
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


class Sure:
    """Scores every step alike, so that raw scores, taken at their word, are the lower quantiles."""

    def __init__(self, p: float) -> None:
        self.p = p

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return [StepScores((self.p,) * max(len(path.steps), 1)) for path in paths]


def widths(adapt: Literal["fixed", "k", "m"], p: float) -> list[int]:
    """How many continuations each step of the beam made."""
    made: list[int] = []

    class Counting(Digits):
        def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
            grown = super().extend(request, paths, fanout)
            made.append(len(grown))
            return grown

    sampler = Counting()
    run(beam(8, 2, adapt)(REQUEST), Ports(sampler, Sure(p), extender=sampler))
    return made


def test_k_keeps_only_as_many_beams_as_the_lower_quantile_asks_for() -> None:
    # N_IAS(.99) = 1 fits one beam of fan-out 2; N_IAS(.5) = 7 needs four; N_IAS(.01) = 459 is cut to K_max = 4
    assert widths("k", 0.99) == [8, 2, 2]
    assert widths("k", 0.5) == widths("k", 0.01) == [8, 8, 8]


def test_m_fans_the_beams_out_less_where_the_lower_quantile_is_high() -> None:
    # ceil(ln .01 / ln(1 - p) / K_max): p = .9 -> ceil(2 / 4) = 1; p = .5 -> ceil(6.64 / 4) = 2
    assert widths("m", 0.9) == [8, 4, 4]
    assert widths("m", 0.5) == [8, 8, 8]


def test_scored_every_second_step_the_beams_run_on_alone_in_between() -> None:
    sampler = Digits()
    outcome = run(beam(4, 2, "fixed", every=2)(REQUEST), Ports(sampler, Sum(), extender=sampler))
    assert outcome.usage.completion_tokens == 4 + 4 + 2 * 2
    assert len(outcome.considered) == 4


class Failing(Digits):
    """One continuation of each step fails."""

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        first, *others = super().extend(request, paths, fanout)
        return [replace(first, error="RuntimeError: cut", done=False), *others]


def test_failed_continuations_are_paid_and_reported_and_never_candidates() -> None:
    outcome = run(beam(4, 2, "fixed")(REQUEST), Ports(Failing(), Sum(), extender=Failing()))
    assert len(outcome.failed) == 3
    assert outcome.usage.completion_tokens == 4 + 4 + 4
    assert all(one.path.error is None for one in outcome.considered)


class Refusing(Digits):
    """Refuses to continue once one answer has ended."""

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        if paths[0].steps:
            message = "this provider does not know prefixes"
            raise NotContinuing(message)
        first, *others = super().extend(request, paths, fanout)
        return [replace(first, done=True), *others]


def test_a_provider_that_refuses_in_mid_call_is_announced_and_the_tokens_stay_paid() -> None:
    sampler = Refusing()
    flow = fail_open(beam(4, 2, "fixed")(REQUEST), REQUEST)
    outcome = run(flow, Ports(sampler, Sum(), extender=sampler))
    assert [cause.split(":")[0] for cause in outcome.degraded] == ["NotContinuing", "NotStreaming"]
    assert outcome.usage.completion_tokens == 4 + 4 * 3
    assert outcome.chosen.text == "9"
