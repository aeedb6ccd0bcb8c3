"""Effort: the difficulty of a call picks how hard the model thinks, by request parameters or by another model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.effects import Flow, Sample
from adaptive_middleware.errors import BudgetError
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.strategies.judging import Judging, Notes
from adaptive_middleware.strategies.select import Selection, calibrated_argmax
from adaptive_middleware.types import Candidate, Decision, Estimate, Outcome, Path, Request, State


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: what the request is given when the chance of success is at least `at_least`.

    `parameters` are merged over those of the request: reasoning effort, a cap on thinking tokens, max_tokens, or
    whatever else the wrapped model takes. `model` is another model's name, handed on as the parameter `model`.

    >>> Rung("hard", parameters={"reasoning_effort": "high"}).of(Request("q", parameters={"top_p": 1})).parameters
    {'top_p': 1, 'reasoning_effort': 'high'}
    """

    name: str
    at_least: float = 0.0
    parameters: Mapping[str, object] = field(default_factory=dict)
    model: str | None = None

    def of(self, request: Request) -> Request:
        """The request as it is drawn on this rung."""
        parameters = {**request.parameters, **self.parameters}
        if self.model is None:
            return replace(request, parameters=parameters)
        return replace(request, parameters={**parameters, "model": self.model}, model=self.model)


@dataclass(frozen=True, slots=True)
class effort:  # noqa: N801 - reads as a word, like the policies
    """Draw one answer on the first of `rungs`, easy to hard, that the call's chance of success reaches.

    The chance is the calibrated lower quantile or mean (`by`) of the question alone, or of a first answer drawn on
    the easiest rung (`judge`). With `target`, an answer whose calibrated probability is lower (or that fails
    verification) is followed by one on the next rung, up to `attempts` in all; the best one is returned and each is
    paid. Where there is no estimate, the rung number `default` is used, and the outcome says so.
    """

    rungs: tuple[Rung, ...]
    judge: Literal["question", "answer"] = "question"
    by: Literal["lower", "mean"] = "mean"
    target: float | None = None
    attempts: int = 2
    default: int = 0
    calibrate: Calibrator = uncalibrated
    select: Selection = calibrated_argmax
    answer: Callable[[Path], str | None] = canonical_answer
    verify: bool = False

    def __call__(self, request: Request) -> Flow[Outcome]:
        """The flow of one call; it ends with the outcome, or raises `SamplerError` or `BudgetError`."""
        notes, used = Notes(), list[Rung]()
        judging = Judging(self.calibrate, self.select, self.answer, score=True, verify=self.verify)
        state = yield from judging.start(request, 2, notes, question=self.judge == "question")
        state = replace(state, limit=self._most())
        at: int | None = 0
        if self.judge == "question":
            at = self._rung(state.question, "the question", notes)
        try:
            while at is not None:
                state = yield from self._drawn(request, self.rungs[at], state, judging, notes)
                used += [self.rungs[at]] * (len(state.candidates) - len(used))
                at = self._next(at, state, notes)
        except BudgetError as error:
            notes.degraded.append(f"{type(error).__name__}: {error}")
            if state.leader is None:
                raise
        calibrated = self.calibrate is not uncalibrated
        outcome = judging.outcome(state, notes, f"effort, {self.judge}", calibrated=calibrated)
        return replace(outcome, rung=self._of_chosen(outcome, used))

    def _most(self) -> int:
        """The most answers that one call may draw."""
        least = 1 if self.judge == "question" else 2
        return least if self.target is None else max(self.attempts, least)

    def _drawn(
        self, request: Request, rung: Rung, state: State, judging: Judging, notes: Notes
    ) -> Flow[State]:
        """The state after one more answer, drawn on `rung`."""
        notes.asked += 1
        paths = yield from Sample(rung.of(request), 1)
        usable = notes.usable(paths)
        try:
            found = yield from judging.candidates(request, usable, notes)
        except BudgetError as error:
            notes.degraded.append(f"the answer was not judged: {type(error).__name__}: {error}")
            found = [Candidate(path, answer=self.answer(path)) for path in usable]
        return judging.after(state, found)

    def _rung(self, estimate: Estimate | None, what: str, notes: Notes) -> int:
        """Which rung an estimate picks, by number; the decision is written down."""
        if estimate is None:
            name = self.rungs[self.default].name
            notes.degraded.append(f"no estimate of {what}: rung {name!r} is used")
            return self.default
        p = estimate.lower if self.by == "lower" else estimate.mean
        reached = (i for i, rung in enumerate(self.rungs) if p >= rung.at_least)
        at = next(reached, len(self.rungs) - 1)
        because = f"{what}: {self.by} {p:.3f} picks rung {self.rungs[at].name!r}"
        notes.decisions.append(Decision(1, because, {"p": p, "rung": at}))
        return at

    def _next(self, at: int, state: State, notes: Notes) -> int | None:
        """The rung of another answer, or None when the call is done."""
        last = state.candidates[-1] if state.candidates else None
        if self.judge == "answer" and notes.asked == 1:
            picked = self._rung(None if last is None else last.estimate, "the first answer", notes)
            if picked > at:
                return picked
        if self.target is None:
            return None
        p = 0.0 if state.leader is None else state.leader.probability or 0.0
        numbers = {"p": p, "target": self.target}
        more = at + 1 if p < self.target and at + 1 < len(self.rungs) and notes.asked < self._most() else None
        because = f"the best answer: p {p:.3f} {'<' if p < self.target else '>='} {self.target:g}"
        if more is not None:
            because += f"; rung {self.rungs[more].name!r} is next"
        notes.decisions.append(Decision(int(more is not None), because, numbers))
        return more

    def _of_chosen(self, outcome: Outcome, used: Sequence[Rung]) -> str:
        """The name of the rung that the chosen answer was drawn on."""
        index = 0 if outcome.choice is None else outcome.choice.index
        return used[index].name
