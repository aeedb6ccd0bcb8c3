"""Repair: what a failed check said becomes part of the next sample's request, until one passes or it is given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.code.canonical import program_answer
from adaptive_middleware.effects import Flow, Sample
from adaptive_middleware.errors import BudgetError
from adaptive_middleware.policy import optimal_stopping
from adaptive_middleware.ports import Calibrator, Policy
from adaptive_middleware.strategies.effort import Rung
from adaptive_middleware.strategies.follow_up import follow_up, shown_output
from adaptive_middleware.strategies.judging import Judging, Notes
from adaptive_middleware.strategies.select import Selection, calibrated_argmax
from adaptive_middleware.types import Candidate, Decision, Outcome, Path, Request, State

COMPLAINT = "This program fails its tests:\n\n{output}\n\nCorrect it, and write the whole program again."
ADVICE = "Ask for what is missing, or let a person decide."


@dataclass(frozen=True, slots=True)
class repair:  # noqa: N801 - reads as a word, like the policies
    """Draw and check answers while the policy asks for more; after a failed one, the next is asked to repair it.

    A sample that repairs sees the question, the last failed answer and at most `shown` characters of what its check said.
    After `rounds` repairs in a row a fresh answer is drawn; so is after an answer that was not decided, or that calls tools.
    The belief counts a repair as a sample like any other. When the policy gives up and every answer has failed, one
    more is drawn as `escalate` says (another model, or more effort), if given; when that fails, too, a failed answer is
    returned, as `select` has it, or with `on_fail` "ask" words in its place. Needs a verifier.
    """

    policy: Policy = optimal_stopping()  # noqa: RUF009 - frozen
    max_samples: int = 8
    rounds: int = 2
    shown: int = 1000
    complaint: str = COMPLAINT
    escalate: Rung | None = None
    on_fail: Literal["return", "ask"] = "return"
    calibrate: Calibrator = uncalibrated
    select: Selection = calibrated_argmax
    answer: Callable[[Path], str | None] = program_answer
    score: bool = True
    score_question: bool = True

    def __call__(self, request: Request) -> Flow[Outcome]:
        """The flow of one call; it ends with the outcome, or raises `SamplerError` or `BudgetError`."""
        judging = Judging(self.calibrate, self.select, self.answer, self.score, verify=True)
        call = _Call(request, Notes(), judging)
        call.state = yield from judging.start(
            request, self.max_samples, call.notes, question=self.score_question
        )
        try:
            while (n := call.notes.decide(self.policy(call.state), self.max_samples)) > 0:
                yield from call.draw(self._asked(call, self.rounds), n)
            if self.escalate is not None and call.failed:
                yield from self._escalated(call, self.escalate)
        except BudgetError as error:
            call.notes.degraded.append(f"{type(error).__name__}: {error}")
            if not call.state.candidates:
                raise
        return self._outcome(call)

    def _asked(self, call: _Call, rounds: int) -> Request:
        """The request of the next sample; which failed one it repairs is written down."""
        failed = call.state.candidates[-1] if call.state.candidates else Candidate(Path())
        verdict = failed.verdict
        if verdict is None or not _failed(failed) or failed.path.tool_calls or call.repairs >= rounds:
            call.repairs = 0
            return call.request
        output = shown_output(verdict.detail, self.shown) or "no output"
        asked = follow_up(call.request, failed.path.text, self.complaint.replace("{output}", output))
        if asked is None:
            call.notes.degraded.append(_UNSAID.format(kind=type(call.request.messages[0]).__name__))
            return call.request
        call.repairs += 1
        number = len(call.state.candidates)
        first = output.partition("\n")[0]
        because = f"sample {number} failed ({first}): the next one is asked to repair it"
        call.notes.decisions.append(Decision(1, because, {"repairs": number, "round": call.repairs}))
        return asked

    def _escalated(self, call: _Call, rung: Rung) -> Flow[None]:
        """One more answer, by another model or with more effort; it sees the last failure, too."""
        because = f"given up, every answer failed: rung {rung.name!r} is asked"
        call.notes.decisions.append(Decision(1, because, {"drawn": call.state.drawn}))
        call.repairs = 0
        before = len(call.state.candidates)
        yield from call.draw(rung.of(self._asked(call, 1)), 1)
        call.escalated = range(before, len(call.state.candidates))

    def _outcome(self, call: _Call) -> Outcome:
        calibrated = self.calibrate is not uncalibrated
        named = f"repair, {self.policy!r}"
        outcome = call.judging.outcome(call.state, call.notes, named, calibrated=calibrated)
        index = -1 if outcome.choice is None else outcome.choice.index
        if self.escalate is not None:
            rung = self.escalate.name if index in call.escalated else None
            outcome = replace(outcome, limit=self.max_samples + 1, rung=rung)
        if self.on_fail == "return" or not call.failed:
            return outcome
        why = f"none of {len(outcome.considered)} answers passed its check"
        said = Path((f"No answer is given: {why}. {ADVICE}",), done=False, finish_reason="stop")
        return replace(outcome, chosen=said, abstained=why)


_UNSAID = "a failed answer was not shown to the model: its messages are {kind}, and the request has no `say` to write one"


@dataclass(slots=True)
class _Call:
    """What one flow has in its hands: `repairs` counts those in a row, `escalated` are the candidates of the last rung."""

    request: Request
    notes: Notes
    judging: Judging
    state: State = field(init=False)
    repairs: int = 0
    escalated: range = range(0)

    @property
    def failed(self) -> bool:
        """Whether there is no answer, or none that did not fail."""
        return all(map(_failed, self.state.candidates))

    def draw(self, asked: Request, n: int) -> Flow[None]:
        """The state after `n` more answers to `asked`; they are scored and checked as answers to the call's own request."""
        paths = yield from Sample(asked, n)
        self.notes.asked += len(paths) or n
        usable = self.notes.usable(paths)
        try:
            found = yield from self.judging.candidates(self.request, usable, self.notes)
        except BudgetError:
            found = [Candidate(path, answer=self.judging.answer(path)) for path in usable]
            self.state = self.judging.after(self.state, found)
            raise
        self.state = self.judging.after(self.state, found)


def _failed(candidate: Candidate) -> bool:
    return candidate.verdict is not None and candidate.verdict.passed is False
