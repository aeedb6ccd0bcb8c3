"""What best-of-N strategies share: scored and verified candidates, the state between draws, the outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from adaptive_middleware import belief as beliefs
from adaptive_middleware.effects import Flow, Score, Verify
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.strategies.select import Selection, votes
from adaptive_middleware.tool_calls import read_answer
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


@dataclass(slots=True)
class Notes:
    """What one flow has written down so far; it never leaves the flow."""

    decisions: list[Decision] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    failed: list[Path] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    asked: int = 0
    raw: float | None = None

    def decide(self, decided: Decision | int, limit: int) -> int:
        """Write a policy's decision down, and return how many samples of it the limit leaves."""
        decision, room = as_decision(decided), limit - self.asked
        if decision.more > 0 and room <= 0:
            because = f"all {limit} samples are drawn; {decision.because}"
            decision = replace(decision, more=0, because=because)
        self.decisions.append(decision)
        return min(decision.more, room)

    def usable(self, paths: Sequence[Path]) -> list[Path]:
        """Count what ended paths cost, set failed ones aside, and return the rest."""
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


@dataclass(frozen=True, slots=True)
class Judging:
    """How the answers of one call are judged: calibrator, selection, canonical answers, what is asked for."""

    calibrate: Calibrator
    select: Selection
    answer: Callable[[Path], str | None]
    score: bool
    verify: bool

    def start(self, request: Request, limit: int, notes: Notes, *, question: bool) -> Flow[State]:
        """The state before any sample; with `question`, the prior is the estimate of the question alone."""
        estimate = None
        if self.score and question and limit > 1:
            alone = Path(done=False)
            (scores,) = yield from Score(request, (alone,))
            estimate = notes.estimate(self.calibrate, alone, scores)
            notes.raw = None if estimate is None else scores.values[-1]
        prior = beliefs.uniform() if estimate is None else beliefs.from_estimate(estimate)
        return State((), prior, limit, estimate, base_rate=prior.mean)

    def candidates(
        self, request: Request, paths: Sequence[Path], notes: Notes, *, partial: bool = False
    ) -> Flow[list[Candidate]]:
        """The paths with scores, estimates, canonical answers and verdicts; `partial` ones are only scored.

        Tool calls are scored as the last step of their answer.
        """
        scores: dict[int, StepScores] = {}
        read = [read_answer(path) for path in paths]
        with_text = [i for i, path in enumerate(read) if path.text.strip()] if self.score else []
        if with_text:
            answers = yield from Score(request, tuple(read[i] for i in with_text))
            scores = dict(zip(with_text, answers, strict=True))
        verdicts: Sequence[Verdict | None] = [None] * len(paths)
        if self.verify and paths and not partial:
            verdicts = yield from Verify(request, tuple(paths))
        return [
            Candidate(
                path,
                scores.get(i),
                notes.estimate(self.calibrate, read[i], scores[i]) if i in scores else None,
                None if partial else self.answer(path),
                verdict,
            )
            for i, (path, verdict) in enumerate(zip(paths, verdicts, strict=True))
        ]

    def after(self, state: State, new: Sequence[Candidate], dropped: Sequence[Candidate] = ()) -> State:
        """The state moved by new candidates, and by answers dropped before their end."""
        belief = state.belief
        for candidate in (*new, *dropped):
            if candidate.verdict is not None and candidate.verdict.passed is not None:
                belief = beliefs.after_verdict(belief, candidate.verdict.passed)
            elif candidate.estimate is not None:
                belief = beliefs.after_estimate(belief, candidate.estimate, state.base_rate)
        known = (*state.candidates, *new)
        return replace(
            state,
            candidates=known,
            belief=belief,
            leader=self.select(known) if known else None,
            votes=votes(known),
            dropped=(*state.dropped, *dropped),
        )

    def outcome(self, state: State, notes: Notes, strategy: str, *, calibrated: bool) -> Outcome:
        """The result of the call; raises `SamplerError` when there is no usable answer."""
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
            strategy=strategy,
            limit=state.limit,
            calibrated=calibrated,
            dropped=state.dropped,
            raw=notes.raw,
        )


def as_decision(decided: Decision | int) -> Decision:
    """A policy's answer as a `Decision`: a plain number is one, too."""
    if isinstance(decided, Decision):
        return decided
    return Decision(decided, f"the policy asked for {decided} more")
