"""The third driver's world: ports that answer from a recording, so that ordinary strategies run without a model.

A `Tape` is one recorded problem made ready once; `replay` runs any strategy on it with the samples in a
given order. Nothing is drawn twice: when the recording ends, the sampler gives what is left, then nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from adaptive_middleware.answers import text_answer, written_answer
from adaptive_middleware.effects import Strategy
from adaptive_middleware.engine import run
from adaptive_middleware.normal import normal_answer
from adaptive_middleware.ports import Calibrator, Ports
from adaptive_middleware.recording import Problem, RecordedSample, steps_of
from adaptive_middleware.types import Estimate, Outcome, Path, Request, StepScores, Usage, Verdict

ENDED = "the recording ended"
"""How the cause begins when a strategy asked for more samples than there are."""

_UNSCORED = StepScores(rejected="not recorded")


@dataclass(frozen=True, slots=True)
class Take:
    """What a recording knows of one sample; every path of a tape carries its own as `raw`."""

    correct: bool
    answer: str | None = None
    scores: StepScores = _UNSCORED


@dataclass(frozen=True, slots=True)
class Tape:
    """One problem ready for replay: its paths, one per sample, and the score of the question alone.

    A verified pool of n samples has n paths, the first `n_correct` of them right: draw them in a shuffled
    order. They have no text and cost no tokens; only their number counts.
    """

    request: Request
    paths: tuple[Path, ...]
    question: StepScores

    @property
    def scored(self) -> bool:
        """Whether any sample has scores."""
        return any(take(path).scores.values for path in self.paths)


def canonical(sample: RecordedSample) -> str | None:
    """The sample's answer in normal form: samples agree when they say the same, as in live calls."""
    if sample.answer:
        return sample.answer if sample.answer[0] in "{[" else normal_answer(sample.answer)
    return text_answer(sample.text)


def as_written(sample: RecordedSample) -> str | None:
    """The sample's answer as it is spelled: samples agree when they write the same, as most papers vote."""
    return sample.answer or written_answer(sample.text)


def tape(problem: Problem, answer: Callable[[RecordedSample], str | None] = canonical) -> Tape:
    """The tape of `problem`; `answer` decides which samples agree."""
    extra = problem.question_tokens or 0
    question = StepScores(rejected="the recording has no question_score", tokens=0)
    if problem.question_score is not None:
        question = StepScores((problem.question_score,), tokens=extra)
    if problem.verified:
        usage = Usage(requests=1)
        right, wrong = (Path(("-",), usage=usage, raw=Take(correct)) for correct in (True, False))
        paths = (right,) * problem.n_correct + (wrong,) * (problem.n - problem.n_correct)
    else:
        paths = tuple(_path(sample, answer, extra) for sample in problem.samples)
    return Tape(Request(problem.question, run_id=problem.id), paths, question)


def replay(tape: Tape, strategy: Strategy, order: Sequence[int] | None = None) -> Outcome:
    """The outcome of `strategy` when the samples of `tape` come in `order` (default: as recorded).

    The ordinary engine runs the ordinary strategy. When the strategy asked for more samples than `order`
    holds, the outcome's `degraded` says so. Raises what the strategy raises.
    """
    sampler = RecordedSampler(tape, range(len(tape.paths)) if order is None else order)
    outcome = run(strategy(tape.request), Ports(sampler, RecordedScorer(tape), RecordedVerifier()))
    if not sampler.refused:
        return outcome
    cause = f"{ENDED} after {sampler.drawn} samples; {sampler.refused} more were asked for"
    return replace(outcome, degraded=(*outcome.degraded, cause))


class RecordedSampler:
    """Gives the paths of a tape in order, each once: fewer at the end, then none.

    `drawn` counts what it gave, `refused` what it was asked for and did not have.
    """

    def __init__(self, tape: Tape, order: Sequence[int]) -> None:
        self._tape, self._order = tape, order
        self.drawn = self.refused = 0

    def sample(self, request: Request, n: int) -> list[Path]:  # noqa: ARG002 - the port's signature
        """The next `n` recorded samples, as far as there are any."""
        taken = [self._tape.paths[index] for index in self._order[self.drawn : self.drawn + n]]
        self.drawn += len(taken)
        self.refused += n - len(taken)
        return taken


@dataclass(frozen=True, slots=True)
class RecordedScorer:
    """Gives recorded scores; a sample or question without them gets a rejected set that says so."""

    tape: Tape

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:  # noqa: ARG002
        """The recorded scores of each path; a path without steps is the question."""
        return [take(path).scores if path.steps else self.tape.question for path in paths]


@dataclass(frozen=True, slots=True)
class RecordedVerifier:
    """Says of each sample whether the recording holds it for right."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:  # noqa: ARG002
        """One verdict per path, never undecided."""
        return [Verdict(take(path).correct, "recorded") for path in paths]


def take(path: Path) -> Take:
    """What the recording knows of a path that a recorded sampler gave."""
    if not isinstance(path.raw, Take):
        message = f"this path is not from a recording: raw is {type(path.raw).__name__}"
        raise TypeError(message)
    return path.raw


def recorded_answer(path: Path) -> str | None:
    """The answer of a recorded path, read once when the tape was made."""
    return take(path).answer


def once(calibrate: Calibrator, tape: Tape) -> Calibrator:
    """`calibrate` with the estimates of all samples of `tape` computed once, for many replays of it."""
    known = {id(path): calibrate(path, take(path).scores) for path in tape.paths if take(path).scores.values}

    def remembered(path: Path, scores: StepScores) -> Estimate:
        return known[id(path)] if path.steps else calibrate(path, scores)

    return remembered


def _path(
    sample: RecordedSample, answer: Callable[[RecordedSample], str | None], question_tokens: int
) -> Path:
    steps, scores = _scored_steps(sample)
    cost = sample.tokens + question_tokens
    taken = Take(sample.correct, answer(sample), replace(scores, tokens=cost if scores.values else 0))
    usage = Usage(completion_tokens=sample.tokens, requests=1)
    return Path(steps, finish_reason="stop", logprobs=sample.logprobs, usage=usage, raw=taken)


def _scored_steps(sample: RecordedSample) -> tuple[tuple[str, ...], StepScores]:
    if sample.scores is None and sample.prm_score is not None and sample.text:
        return (sample.text,), StepScores((sample.prm_score,))
    steps = steps_of(sample)
    if sample.scores is None:
        return steps, _UNSCORED
    return steps, StepScores(sample.scores, first=max(len(steps), 1) - len(sample.scores))
