"""Best-of-N on open answers: each is read step by step, and dropped once it is not worth finishing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.effects import Advance, Begin, Flow
from adaptive_middleware.errors import BudgetError, NotStreaming
from adaptive_middleware.policy.pruning import worth_finishing
from adaptive_middleware.ports import Calibrator, Keep, Policy
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.judging import Judging, Notes, as_decision
from adaptive_middleware.strategies.select import Selection, calibrated_argmax
from adaptive_middleware.strategies.settle import closed, overtaken, promise, settled
from adaptive_middleware.types import Candidate, Outcome, Path, Request, State


@dataclass(frozen=True, slots=True)
class prune:  # noqa: N801 - reads as a word, like the policies
    """Draw answers while `policy` asks for more; read each on only while `keep` says so.

    After every step the open answers are scored together and calibrated as partial paths. A dropped answer
    costs the tokens read so far, moves the belief by its last estimate, and counts as drawn. The last hope is
    never dropped: without a finished answer, one open answer is read to its end unless another will be drawn.
    At a limit the open answers are closed, and their cost counts; without a finished answer the best unfinished one
    is returned, marked as cut off. Where answers cannot be streamed, the call goes on as best-of-N, and the outcome says so.
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
        """The flow of one call; it ends with the outcome, or raises `SamplerError` or `BudgetError`."""
        notes = Notes()
        judging = Judging(self.calibrate, self.select, self.answer, score=True, verify=self.verify)
        state = yield from judging.start(request, self.max_samples, notes, question=self.score_question)
        table = _Table(state)
        try:
            yield from self._draw(request, table, judging, notes)
        except (BudgetError, NotStreaming) as error:
            notes.degraded.append(f"{type(error).__name__}: {error}")
            given_up = yield from closed(request, table.open, notes)
            unjudged = [Candidate(path, answer=self.answer(path)) for path in table.ended]
            cut = settled(judging, judging.after(table.state, unjudged), given_up, notes)
            table.state = overtaken(judging, cut, notes)
            if table.state.leader is None and isinstance(error, NotStreaming):
                return (yield from self._whole_answers(request, notes))
            if table.state.leader is None:
                raise
        except GeneratorExit:  # nothing can be asked for any more: who opened the answers closes them
            raise
        except BaseException:
            yield from closed(request, table.open, notes)
            raise
        calibrated = self.calibrate is not uncalibrated
        named = f"prune, {self.policy!r}, {self.keep!r}"
        return judging.outcome(overtaken(judging, table.state, notes), notes, named, calibrated=calibrated)

    def _draw(self, request: Request, table: _Table, judging: Judging, notes: Notes) -> Flow[None]:
        """Open and read answers until the policy asks for no more."""
        while (n := notes.decide(self.policy(table.state), self.max_samples)) > 0:
            opened = yield from Begin(request, n)
            notes.asked += len(opened) or n
            table.open = [Candidate(path) for path in opened]
            while table.open:
                yield from self._read(request, table, judging, notes)

    def _read(self, request: Request, table: _Table, judging: Judging, notes: Notes) -> Flow[None]:
        """Read each open answer one step further, and drop those that are not worth finishing."""
        read = yield from Advance(request, tuple(one.path for one in table.open))
        moved = zip(table.open, read, strict=True)
        table.open = [Candidate(path, estimate=one.estimate) for one, path in moved if not path.ended]
        table.ended = notes.usable([path for path in read if path.ended])
        found = yield from judging.candidates(request, table.ended, notes)
        table.state, table.ended = judging.after(table.state, found), []
        if table.open:
            still = [one.path for one in table.open]
            table.open = yield from judging.candidates(request, still, notes, partial=True)
        losers = self._losers(table.state, table.open, judging, notes)
        gone = yield from closed(request, [table.open[i] for i in losers], notes)
        table.open = [one for i, one in enumerate(table.open) if i not in losers]
        table.state = judging.after(table.state, (), gone)

    def _losers(self, state: State, judged: Sequence[Candidate], judging: Judging, notes: Notes) -> list[int]:
        """Which open answers go, by their number."""
        decisions = [as_decision(self.keep(state, one)) for one in judged]
        losers = [i for i, decision in enumerate(decisions) if decision.more <= 0]
        if losers and len(losers) == len(judged) and state.leader is None:
            after = judging.after(state, (), judged)
            if notes.asked >= self.max_samples or as_decision(self.policy(after)).more <= 0:
                losers.remove(max(losers, key=lambda i: promise(judged[i])))
        notes.decisions += [decisions[i] for i in losers]
        return losers

    def _whole_answers(self, request: Request, notes: Notes) -> Flow[Outcome]:
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
        causes = (*notes.degraded, *outcome.degraded)
        return replace(outcome, degraded=causes, usage=notes.usage + outcome.usage)


@dataclass(slots=True)
class _Table:
    """What one flow has in its hands: the state, answers that are open, and ended ones not yet judged."""

    state: State
    open: list[Candidate] = field(default_factory=list)
    ended: list[Path] = field(default_factory=list)
