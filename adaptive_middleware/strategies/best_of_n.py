"""Best-of-N with N decided by a policy: draw, score, calibrate, decide, select."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from adaptive_middleware import belief as beliefs
from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.effects import Flow, Sample, Score, Verify
from adaptive_middleware.errors import BudgetError, SamplerError
from adaptive_middleware.ports import Calibrator, Policy
from adaptive_middleware.strategies.select import Selection, calibrated_argmax, votes
from adaptive_middleware.types import (
    Candidate,
    Decision,
    Estimate,
    Outcome,
    Path,
    Request,
    State,
    StepScores,
    Usage,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class best_of_n:  # noqa: N801 - reads as a word, like the policies
    """Draw samples while the policy asks for more, and return the selected one.

    The question alone is scored first (`score_question`): its calibrated estimate is the prior over the
    success chance of one sample. Every scored or verified sample then moves that belief. At most
    `max_samples` are asked for in all, failed ones counted. Without scores (`score` off, or rejected)
    selection and stopping fall back to votes.
    """

    policy: Policy
    max_samples: int = 16
    calibrate: Calibrator = uncalibrated
    select: Selection = calibrated_argmax
    answer: Callable[[Path], str | None] = canonical_answer
    score: bool = True
    score_question: bool = True
    verify: bool = False

    def __call__(self, request: Request) -> Flow[Outcome]:
        """The flow of one call; it ends with the outcome, or raises `SamplerError`."""
        notes = _Notes()
        state = yield from self._start(request, notes)
        while True:
            decision = _as_decision(self.policy(state))
            notes.decisions.append(decision)
            n = min(decision.more, self.max_samples - notes.asked)
            if n <= 0:
                break
            try:
                paths = yield from Sample(request, n)
            except BudgetError as error:
                if not state.candidates:
                    raise
                notes.degraded.append(f"{type(error).__name__}: {error}")
                break
            usable = notes.record(n, paths)
            candidates = yield from self._judge(request, usable, notes)
            state = self._after(state, candidates)
        return self._outcome(state, notes)

    def _start(self, request: Request, notes: _Notes) -> Flow[State]:
        question = None
        if self.score and self.score_question and self.max_samples > 1:
            alone = Path(done=False)
            (scores,) = yield from Score(request, (alone,))
            question = notes.estimate(self.calibrate, alone, scores)
        prior = beliefs.uniform() if question is None else beliefs.from_estimate(question)
        return State((), prior, self.max_samples, question, base_rate=prior.mean)

    def _judge(self, request: Request, paths: Sequence[Path], notes: _Notes) -> Flow[list[Candidate]]:
        scores: dict[int, StepScores] = {}
        with_text = [i for i, path in enumerate(paths) if path.text.strip()]
        if self.score and with_text:
            answers = yield from Score(request, tuple(paths[i] for i in with_text))
            scores = dict(zip(with_text, answers, strict=True))
        verdicts: Sequence[Verdict | None] = [None] * len(paths)
        if self.verify and paths:
            verdicts = yield from Verify(request, tuple(paths))
        return [
            Candidate(
                path,
                scores.get(i),
                notes.estimate(self.calibrate, path, scores[i]) if i in scores else None,
                self.answer(path),
                verdict,
            )
            for i, (path, verdict) in enumerate(zip(paths, verdicts, strict=True))
        ]

    def _after(self, state: State, new: Sequence[Candidate]) -> State:
        belief = state.belief
        for candidate in new:
            if candidate.verdict is not None and candidate.verdict.passed is not None:
                belief = beliefs.after_verdict(belief, candidate.verdict.passed)
            elif candidate.estimate is not None:
                belief = beliefs.after_estimate(belief, candidate.estimate, state.base_rate)
        candidates = (*state.candidates, *new)
        leader = self.select(candidates) if candidates else None
        return replace(state, candidates=candidates, belief=belief, leader=leader, votes=votes(candidates))

    def _outcome(self, state: State, notes: _Notes) -> Outcome:
        if state.leader is None:
            causes = "; ".join(path.error or "unknown" for path in notes.failed) or "it returned no answers"
            message = f"no usable answer in {notes.asked} requested samples: {causes}"
            raise SamplerError(message)
        return Outcome(
            chosen=state.candidates[state.leader.index].path,
            considered=state.candidates,
            choice=state.leader,
            question=state.question,
            decisions=tuple(notes.decisions),
            usage=notes.usage,
            degraded=tuple(dict.fromkeys(notes.degraded)),
            failed=tuple(notes.failed),
            strategy=f"best-of-n, {self.policy!r}",
            limit=self.max_samples,
            calibrated=self.calibrate is not uncalibrated,
        )


@dataclass(slots=True)
class _Notes:
    """What one flow has written down so far; it never leaves the flow."""

    decisions: list[Decision] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    failed: list[Path] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    asked: int = 0

    def record(self, n: int, paths: Sequence[Path]) -> list[Path]:
        """Count a draw of `n`, set failed samples aside, and return the usable ones."""
        self.asked += len(paths) or n
        for path in paths:
            self.usage += path.usage
            if path.error is not None:
                self.failed.append(path)
                self.degraded.append(f"sample failed: {path.error}")
            elif not path.text.strip() and not path.tool_calls:
                self.degraded.append("empty answer")
        return [path for path in paths if path.error is None]

    def estimate(self, calibrate: Calibrator, path: Path, scores: StepScores) -> Estimate | None:
        """The calibrated estimate, or None with the cause noted when the scores were rejected."""
        self.usage += Usage(prm_tokens=scores.tokens)
        if scores.rejected is not None:
            self.degraded.append(f"scores rejected: {scores.rejected}")
            return None
        return calibrate(path, scores)


def _as_decision(decided: Decision | int) -> Decision:
    if isinstance(decided, Decision):
        return decided
    return Decision(decided, f"the policy asked for {decided} more")
