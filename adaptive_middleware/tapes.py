"""Recorded problems made ready for replay: paths with all that the recording knows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import fsum

from adaptive_middleware.answers import text_answer, written_answer
from adaptive_middleware.normal import normal_answer
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.recording import Problem, RecordedSample, steps_of
from adaptive_middleware.types import Estimate, Path, Request, StepScores, Usage

_UNSCORED = StepScores(rejected="not recorded")


@dataclass(frozen=True, slots=True)
class Take:
    """What a recording knows of one sample; every path of a tape carries its own as `raw`.

    `sample` is its number in the recording; `scores` are those of the steps that the path has.
    """

    correct: bool
    answer: str | None = None
    scores: StepScores = _UNSCORED
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Tape:
    """One problem ready for replay: its paths, one per sample, and the score of the question alone.

    `prefixes` are the partial paths of each sample, of 0 steps, 1 step, .. up to all but the last. A verified pool of n samples has n paths, the first `n_correct` of them right: draw them in a shuffled
    order. They have no text and cost no tokens; only their number counts.
    """

    request: Request
    paths: tuple[Path, ...]
    question: StepScores
    prefixes: tuple[tuple[Path, ...], ...] = ()

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
        paths = tuple(_path(sample, answer, extra, i) for i, sample in enumerate(problem.samples))
    cuts = tuple(prefixes(path, sample, extra) for path, sample in zip(paths, problem.samples, strict=False))
    return Tape(Request(problem.question, run_id=problem.id), paths, question, cuts)


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
    partial = (path for paths in tape.prefixes for path in paths[1:])
    scored = (path for path in (*tape.paths, *partial) if take(path).scores.values)
    known = {_place(path): calibrate(path, take(path).scores) for path in scored}

    def remembered(path: Path, scores: StepScores) -> Estimate:
        return known[_place(path)] if path.steps else calibrate(path, scores)

    return remembered


def _place(path: Path) -> tuple[int, int]:
    return take(path).sample, len(path.steps)


def _path(
    sample: RecordedSample,
    answer: Callable[[RecordedSample], str | None],
    question_tokens: int,
    index: int,
) -> Path:
    steps, scores = _scored_steps(sample)
    cost = sample.tokens + question_tokens
    known = replace(scores, tokens=cost if scores.values else 0)
    taken = Take(sample.correct, answer(sample), known, index)
    usage = Usage(completion_tokens=sample.tokens, requests=1)
    return Path(steps, finish_reason="stop", logprobs=sample.logprobs, usage=usage, raw=taken)


def prefixes(path: Path, sample: RecordedSample, question_tokens: int = 0) -> tuple[Path, ...]:
    """The partial paths of a recorded sample: what had been read after 0, 1, .. all but the last of its steps.

    Tokens of a step are `step_tokens`, else shared out by characters. Each carries the scores of its steps and, from
    `step_logprobs`, the pair [min, mean] of its tokens. A partial path costs the PRM the whole prefix anew.
    """
    scores = take(path).scores
    ends = _token_ends(path, sample)
    return tuple(
        replace(
            path,
            steps=path.steps[:k],
            done=False,
            finish_reason=None,
            logprobs=_logprobs(sample, ends, k),
            usage=replace(path.usage, completion_tokens=ends[k]),
            raw=replace(take(path), answer=None, scores=_first(scores, k, ends[k] + question_tokens)),
        )
        for k in range(len(path.steps))
    )


def _first(scores: StepScores, steps: int, tokens: int) -> StepScores:
    values = scores.values[: max(steps - scores.first, 0)]
    return StepScores(values, scores.first, tokens) if values else _UNSCORED


def _token_ends(path: Path, sample: RecordedSample) -> list[int]:
    if sample.step_tokens is not None:
        return [0, *accumulate(sample.step_tokens)]
    characters = [0, *accumulate(len(step) for step in path.steps)]
    return [round(sample.tokens * end / max(characters[-1], 1)) for end in characters]


def _logprobs(sample: RecordedSample, ends: Sequence[int], steps: int) -> tuple[float, float] | None:
    pairs = (sample.step_logprobs or ())[:steps]
    if not pairs:
        return None
    lengths = [max(end - start, 1) for start, end in pairwise(ends[: steps + 1])]
    total = fsum(mean * length for (_, mean), length in zip(pairs, lengths, strict=True))
    return (min(low for low, _ in pairs), total / sum(lengths))


def _scored_steps(sample: RecordedSample) -> tuple[tuple[str, ...], StepScores]:
    if sample.scores is None and sample.prm_score is not None and sample.text:
        return (sample.text,), StepScores((sample.prm_score,))
    steps = steps_of(sample)
    if sample.scores is None:
        return steps, _UNSCORED
    return steps, StepScores(sample.scores, first=max(len(steps), 1) - len(sample.scores))
