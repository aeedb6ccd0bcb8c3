"""Show the first answer while it is written, where it will very likely be right; otherwise go on unseen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.effects import Advance, Begin, Flow, Follow, Strategy
from adaptive_middleware.errors import BudgetError, NotStreaming
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.sampling.reading import TRUNCATED
from adaptive_middleware.strategies.judging import Judging, Notes
from adaptive_middleware.strategies.select import Selection, calibrated_argmax
from adaptive_middleware.strategies.settle import closed, settled
from adaptive_middleware.types import Candidate, Decision, Estimate, Outcome, Path, Request, State


@dataclass(frozen=True, slots=True)
class first_good:  # noqa: N801 - reads as a word, like the policies
    """Follow the first answer when its chance is at least `good`; else drop it and go on as `otherwise`.

    The chance is the calibrated lower quantile or mean (`by`) of the question alone and then, when that is not
    enough, of the first `look` steps. Only answers that are not followed are held back. Once something was shown,
    it is the answer: an error or the deadline ends the call with what was shown, and the outcome says so. Where
    answers cannot be streamed, the call goes on as `otherwise`, and the outcome says that. A first answer that has
    ended within `look` steps stays a candidate. `max_samples` is that of `otherwise`, for the report.
    """

    otherwise: Strategy
    good: float = 0.9
    by: Literal["lower", "mean"] = "lower"
    look: int = 1
    max_samples: int = 16
    calibrate: Calibrator = uncalibrated
    select: Selection = calibrated_argmax
    answer: Callable[[Path], str | None] = canonical_answer
    score_question: bool = True
    verify: bool = False

    def __call__(self, request: Request) -> Flow[Outcome]:
        """The flow of one call; it ends with the outcome, or raises `SamplerError` or `BudgetError`."""
        judging = Judging(self.calibrate, self.select, self.answer, score=True, verify=self.verify)
        notes = Notes()
        # a limit of 2 has the question scored even where `otherwise` may draw only one answer
        state = yield from judging.start(request, 2, notes, question=self.score_question)
        call = _Call(request, replace(state, limit=self.max_samples), notes, judging)
        try:
            return (yield from self._answered(call))
        except NotStreaming as error:
            notes.degraded.append(f"{type(error).__name__}: {error}")
            yield from closed(request, call.open, notes)
            return (yield from self._otherwise(call))
        except BudgetError as error:
            notes.degraded.append(f"{type(error).__name__}: {error}")
            given_up = yield from closed(request, call.open, notes)
            call.state = settled(judging, call.state, given_up, notes)
            if call.state.leader is None:
                raise
            return self._outcome(call)
        except GeneratorExit:  # nothing can be asked for any more: who opened the answer closes it
            raise
        except BaseException:
            yield from closed(request, call.open, notes)
            raise

    def _answered(self, call: _Call) -> Flow[Outcome]:
        """The first answer followed, or else what `otherwise` says."""
        opened = yield from Begin(call.request, 1)
        call.open = [Candidate(path) for path in opened]
        if self._is_good(call, call.state.question, "the question"):
            return (yield from self._followed(call))
        for _ in range(self.look):
            yield from self._read(call)
        if call.open and self._is_good(call, call.open[0].estimate, f"the first {self.look} steps"):
            return (yield from self._followed(call))
        if call.state.candidates and self._ended_well(call):
            return self._outcome(call)
        gone = yield from closed(call.request, call.open, call.notes)
        call.open = []
        call.state = call.judging.after(call.state, (), gone)
        return (yield from self._otherwise(call))

    def _read(self, call: _Call) -> Flow[None]:
        """Read the open answer, if there still is one, a step further, and judge it."""
        if not call.open:
            return
        read = yield from Advance(call.request, tuple(one.path for one in call.open))
        call.open = [Candidate(path) for path in read if not path.ended]
        ended = call.notes.usable([path for path in read if path.ended])
        found = yield from self._judged(call, ended)
        call.state = call.judging.after(call.state, found)
        going = [one.path for one in call.open]
        call.open = yield from call.judging.candidates(call.request, going, call.notes, partial=True)

    def _followed(self, call: _Call) -> Flow[Outcome]:
        """The open answer to its end, shown on the way; judged afterwards, for the report."""
        (one,) = call.open
        path = yield from Follow(call.request, one.path)
        call.open = []
        if path.error is not None and path.text:
            call.notes.degraded.append(f"the answer that was shown ended early: {path.error}")
            call.notes.usage += path.usage
            reason = path.finish_reason or TRUNCATED
            path = replace(path, done=False, error=None, finish_reason=reason, raw=None)
            found = [Candidate(path, answer=self.answer(path))]
        elif usable := call.notes.usable([path]):
            found = yield from self._judged(call, usable)
        else:
            return (yield from self._otherwise(call))
        call.state = call.judging.after(call.state, found)
        return self._outcome(call, shown_from=len(one.path.steps))

    def _judged(self, call: _Call, ended: Sequence[Path]) -> Flow[list[Candidate]]:
        try:
            return (yield from call.judging.candidates(call.request, ended, call.notes))
        except BudgetError as error:
            call.notes.degraded.append(f"the answer was not judged: {type(error).__name__}: {error}")
            return [Candidate(path, answer=self.answer(path)) for path in ended]

    def _otherwise(self, call: _Call) -> Flow[Outcome]:
        """What `otherwise` answers, with the cost of what came before, and a finished first answer as a rival."""
        outcome = yield from self.otherwise(call.request)
        considered = (*call.state.candidates, *outcome.considered)
        choice = self.select(considered) if call.state.candidates and outcome.considered else outcome.choice
        chosen = outcome.chosen if choice is None else considered[choice.index].path
        return replace(
            outcome,
            chosen=chosen,
            considered=considered,
            choice=choice,
            question=call.state.question,
            raw=call.notes.raw,
            decisions=(*call.notes.decisions, *outcome.decisions),
            usage=call.notes.usage + outcome.usage,
            degraded=tuple(dict.fromkeys((*call.notes.degraded, *outcome.degraded))),
            failed=(*call.notes.failed, *outcome.failed),
            strategy=f"first-good, then {outcome.strategy}",
            dropped=(*call.state.dropped, *outcome.dropped),
        )

    def _outcome(self, call: _Call, shown_from: int | None = None) -> Outcome:
        calibrated = self.calibrate is not uncalibrated
        named = f"first-good, {self.by} >= {self.good:g}"
        made = call.judging.outcome(call.state, call.notes, named, calibrated=calibrated)
        if shown_from is None or made.choice is None:
            return replace(made, shown_from=shown_from)
        how = "shown while it was written"
        return replace(made, choice=replace(made.choice, how=how, tied=False), shown_from=shown_from)

    def _is_good(self, call: _Call, estimate: Estimate | None, what: str) -> bool:
        """Whether the answer may be shown; the decision is written down."""
        if estimate is None:
            return False
        p = estimate.lower if self.by == "lower" else estimate.mean
        good = p >= self.good
        because = f"{what}: {self.by} {p:.3f} {'>=' if good else '<'} {self.good:g}"
        because += "; the first answer is shown while it is written" if good else ""
        call.notes.decisions.append(Decision(int(good), because, {"p": p, "good": self.good}))
        return good

    def _ended_well(self, call: _Call) -> bool:
        """Whether a first answer that has ended already is good enough to be the only one."""
        (first,) = call.state.candidates
        if first.verdict is not None and first.verdict.passed is not None:
            return first.verdict.passed
        return self._is_good(call, first.estimate, "the first answer")


@dataclass(slots=True)
class _Call:
    """What one flow has in its hands."""

    request: Request
    state: State
    notes: Notes
    judging: Judging
    open: list[Candidate] = field(default_factory=list)
