"""Beam search on partial answers: the lower quantiles set the budget, the medians rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.effects import Extend, Flow
from adaptive_middleware.errors import BudgetError, NotContinuing
from adaptive_middleware.policy.beam_budget import beam_fanout, beams_to_keep
from adaptive_middleware.policy.fixed import fixed
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.strategies.judging import Judging, Notes
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.strategies.settle import settled
from adaptive_middleware.types import Candidate, Choice, Outcome, Path, Request


@dataclass(frozen=True, slots=True)
class beam:  # noqa: N801 - reads as a word, like the policies
    """Begin `samples` answers, keep the best `samples` // `fanout` of them, and continue each `fanout` ways.

    `adapt` "k" keeps fewer beams and "m" fans them out less, as instance-adaptive scaling says; "fixed" does
    neither. The process reward model is asked every `every` steps. Finished answers leave the beam. Where
    answers cannot be continued, the call goes on as `prune`, and the outcome says so. Park et al., NeurIPS 2025.
    """

    samples: int = 16
    fanout: int = 4
    adapt: Literal["fixed", "k", "m"] = "k"
    confidence: float = 0.99
    max_steps: int = 40
    every: int = 1
    calibrate: Calibrator = uncalibrated
    answer: Callable[[Path], str | None] = canonical_answer
    score_question: bool = True
    verify: bool = False

    def __call__(self, request: Request) -> Flow[Outcome]:
        """The flow of one call; it ends with the outcome, or raises `SamplerError`."""
        notes = Notes(asked=self.samples)
        judging = Judging(self.calibrate, by_median, self.answer, score=True, verify=self.verify)
        state = yield from judging.start(request, self.samples, notes, question=self.score_question)
        kept: list[Candidate] = [Candidate(Path(done=False))]
        width, step = self.samples, 0
        try:
            while kept and step < self.max_steps:
                paths = yield from self._grow(request, [one.path for one in kept], width, notes, step)
                step += self.every
                ended = [path for path in paths if path.ended]
                state = judging.after(state, (yield from judging.candidates(request, ended, notes)))
                going = [path for path in paths if not path.ended]
                judged = (yield from judging.candidates(request, going, notes, partial=True)) if going else []
                kept, width = self._keep(judged)
                state = replace(state, dropped=(*state.dropped, *_lost(judged, kept)))
        except NotContinuing as error:
            return (yield from self._pruned(request, error, notes))
        except BudgetError as error:
            notes.degraded.append(f"{type(error).__name__}: {error}")
            if not state.candidates and not any(one.path.steps for one in kept):
                raise
        state = settled(judging, state, [one for one in kept if one.path.steps], notes)
        return judging.outcome(
            state, notes, f"beam {self.adapt}", calibrated=self.calibrate is not uncalibrated
        )

    def _grow(
        self, request: Request, paths: Sequence[Path], width: int, notes: Notes, step: int
    ) -> Flow[list[Path]]:
        """The paths up to `every` steps further, fanned out at the first of them."""
        ended: list[Path] = []
        going = list(paths)
        for fanout in (width, *[1] * (min(self.every, self.max_steps - step) - 1)):
            if not going:
                break
            grown = yield from Extend(request, tuple(going), fanout)
            notes.usage = sum((path.usage for path in grown), notes.usage)
            whole = _with_lineage(going, grown, fanout)
            failed = [path for path in whole if path.error is not None]
            notes.failed += failed
            notes.degraded += [f"sample failed: {path.error}" for path in failed]
            ended += [path for path in whole if path.ended and path.error is None]
            going = [path for path in whole if not path.ended]
        return [*ended, *going]

    def _keep(self, judged: Sequence[Candidate]) -> tuple[list[Candidate], int]:
        """The beams that go on, best median first, and how many ways each is continued."""
        ranked = sorted(judged, key=median, reverse=True)
        lower = [0.0 if one.estimate is None else one.estimate.lower for one in ranked]
        most = max(self.samples // self.fanout, 1)
        if self.adapt == "k" and ranked:
            most = beams_to_keep(lower, self.samples, self.fanout, self.confidence)
        kept = ranked[:most]
        if self.adapt == "m" and kept:
            return kept, beam_fanout(lower[:most], self.samples, self.fanout, self.confidence)
        return kept, self.fanout

    def _pruned(self, request: Request, cause: NotContinuing, notes: Notes) -> Flow[Outcome]:
        whole = prune(
            fixed(self.samples),
            max_samples=self.samples,
            calibrate=self.calibrate,
            select=by_median,
            answer=self.answer,
            score_question=self.score_question,
            verify=self.verify,
        )
        outcome = yield from whole(request)
        causes = (*notes.degraded, f"{type(cause).__name__}: {cause}", *outcome.degraded)
        return replace(outcome, degraded=causes, usage=notes.usage + outcome.usage)


def median(candidate: Candidate) -> float:
    """The 50 % quantile of an estimate, its mean where there are no quantiles, -1 without an estimate."""
    if candidate.estimate is None:
        return -1.0
    return dict(candidate.estimate.quantiles).get(0.5, candidate.estimate.mean)


def by_median(candidates: Sequence[Candidate]) -> Choice:
    """The finished answer with the highest median; the first of equals."""
    medians = [median(one) for one in candidates]
    best = max(medians)
    probability = best if best >= 0 else None
    return Choice(medians.index(best), probability, "median argmax", tied=medians.count(best) > 1)


def _with_lineage(parents: Sequence[Path], grown: Sequence[Path], fanout: int) -> list[Path]:
    """The continuations, each with what its whole path cost."""
    at = given = 0
    whole = []
    for path in grown:
        while at < len(parents) - 1 and (
            given == fanout or path.steps[: len(parents[at].steps)] != parents[at].steps
        ):
            at, given = at + 1, 0
        given += 1
        whole.append(replace(path, usage=parents[at].usage + path.usage))
    return whole


def _lost(judged: Sequence[Candidate], kept: Sequence[Candidate]) -> list[Candidate]:
    """Those not kept, by identity: two beams may be equal. What their sampler held for them is let go."""
    going_on = {id(one) for one in kept}
    return [replace(one, path=replace(one.path, raw=None)) for one in judged if id(one) not in going_on]
