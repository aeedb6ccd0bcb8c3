"""Best-of-N on open answers: each is read step by step, and dropped once it is not worth finishing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.effects import Advance, Begin, Drop, Flow
from adaptive_middleware.errors import BudgetError, NotStreaming
from adaptive_middleware.policy.pruning import worth_finishing
from adaptive_middleware.ports import Calibrator, Keep, Policy
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.judging import Judging, Notes, as_decision
from adaptive_middleware.strategies.select import Selection, calibrated_argmax
from adaptive_middleware.types import Candidate, Outcome, Path, Request, State


@dataclass(frozen=True, slots=True)
class prune:  # noqa: N801 - reads as a word, like the policies
    """Draw answers while `policy` asks for more; read each on only while `keep` says so.

    After every step the open answers are scored together and calibrated as partial paths. A dropped answer
    costs the tokens read so far, moves the belief by its last estimate, and counts as drawn. The last hope is
    never dropped: without a finished answer, one open answer is read to its end unless another will be drawn.
    Where answers cannot be streamed, the call goes on as best-of-N, and the outcome says so.
    """

    policy: Policy
    keep: Keep = worth_finishing()  # noqa: RUF009 - frozen
    max_samples: int = 16
    calibrate: Calibrator = uncalibrated
    select: Selection = calibrated_argmax
    answer: Callable[[Path], str | None] = canonical_answer
    score_question: bool = True
    verify: bool = False

    def __call__(self, request: Request) -> Flow[Outcome]:
        """The flow of one call; it ends with the outcome, or raises `SamplerError`."""
        notes = Notes()
        judging = Judging(self.calibrate, self.select, self.answer, score=True, verify=self.verify)
        state = yield from judging.start(request, self.max_samples, notes, question=self.score_question)
        while (n := notes.decide(self.policy(state), self.max_samples)) > 0:
            try:
                opened = yield from Begin(request, n)
                notes.asked += len(opened) or n
                state = yield from self._read(request, opened, state, notes)
            except NotStreaming as error:
                return (yield from self._whole_answers(request, error))
            except BudgetError as error:
                if not state.candidates:
                    raise
                notes.degraded.append(f"{type(error).__name__}: {error}")
                break
        calibrated = self.calibrate is not uncalibrated
        return judging.outcome(state, notes, f"prune, {self.policy!r}, {self.keep!r}", calibrated=calibrated)

    def _read(self, request: Request, opened: Sequence[Path], state: State, notes: Notes) -> Flow[State]:
        """Read open answers until each has ended or was dropped."""
        judging = Judging(self.calibrate, self.select, self.answer, score=True, verify=self.verify)
        going = tuple(opened)
        while going:
            read = yield from Advance(request, going)
            ended = notes.usable([path for path in read if path.ended])
            if ended:
                state = judging.after(state, (yield from judging.candidates(request, ended, notes)))
            still = [path for path in read if not path.ended]
            judged = (yield from judging.candidates(request, still, notes, partial=True)) if still else []
            losers = self._losers(state, judged, judging, notes)
            if losers:
                lost = [judged[i] for i in losers]
                paths = yield from Drop(request, tuple(one.path for one in lost))
                notes.usage = sum((path.usage for path in paths), notes.usage)
                closed = [replace(one, path=path) for one, path in zip(lost, paths, strict=True)]
                state = judging.after(state, (), closed)
            going = tuple(one.path for i, one in enumerate(judged) if i not in losers)
        return state

    def _losers(self, state: State, judged: Sequence[Candidate], judging: Judging, notes: Notes) -> list[int]:
        """Which open answers go, by their number."""
        decisions = [as_decision(self.keep(state, one)) for one in judged]
        losers = [i for i, decision in enumerate(decisions) if decision.more <= 0]
        if losers and len(losers) == len(judged) and state.leader is None:
            after = judging.after(state, (), judged)
            if notes.asked >= self.max_samples or as_decision(self.policy(after)).more <= 0:
                losers.remove(max(losers, key=lambda i: _promise(judged[i])))
        notes.decisions += [decisions[i] for i in losers]
        return losers

    def _whole_answers(self, request: Request, cause: NotStreaming) -> Flow[Outcome]:
        whole = best_of_n(
            self.policy,
            max_samples=self.max_samples,
            calibrate=self.calibrate,
            select=self.select,
            answer=self.answer,
            score_question=self.score_question,
            verify=self.verify,
        )
        outcome = yield from whole(request)
        return replace(outcome, degraded=(f"{type(cause).__name__}: {cause}", *outcome.degraded))


def _promise(candidate: Candidate) -> float:
    return -1.0 if candidate.estimate is None else candidate.estimate.mean
