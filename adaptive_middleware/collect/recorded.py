"""Recordings as calibration data: finished answers and questions whose outcome is known; nothing is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.answers import text_answer
from adaptive_middleware.collect.measured import Measured, Problem, Tally
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.scores import Scoring, score
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.logprobs import summary
from adaptive_middleware.recording import Problem as Recorded
from adaptive_middleware.recording import RecordedSample, steps_of
from adaptive_middleware.types import Path


def scored(problem: Recorded) -> bool:
    """Whether the recording has every score that its rows need.

    >>> scored(Recorded("p", "2 + 2?", n=4, n_correct=1, question_score=0.3))
    True
    """
    return problem.question_score is not None and all(_own_scores(sample) for sample in problem.samples)


def as_prompt(problem: Recorded) -> Prompt:
    """The problem as a prompt: its id, its question, and the texts that scores are of."""
    return Prompt(problem.id, problem.question, {"samples": [sample.text for sample in problem.samples]})


def measure_recorded(problem: Recorded, by: Scoring | None) -> Problem:
    """The finished answers of a problem, right or wrong, and its question with the share of right ones.

    Scores come from the recording where all are there, else all of them from the scorer `by`. Raises
    `CalibrationError` where there is none, or no question to score.
    """
    outcomes = [sample.correct for sample in problem.samples]
    right, total = (sum(outcomes), len(outcomes)) if outcomes else (problem.n_correct, problem.n)
    steps = [steps_of(sample) for sample in problem.samples]
    scores = _scores(problem, steps, by)
    level = problem.level
    rows = [Measured(problem.id, level, (), False, right, total, None, scores[0])] if scores[0] else []
    for sample, own, values in zip(problem.samples, steps, scores[1:], strict=True):
        if values and own:
            pair, tokens = summary(sample.logprobs), None if sample.tokens_estimated else sample.tokens
            rows.append(Measured(problem.id, level, own, True, int(sample.correct), 1, pair, values, tokens))
    silent = sum(text_answer(sample.text) is None for sample in problem.samples)
    unscored = sum(not values for values in scores)
    tally = Tally(answers=total, right=right, unparsable=silent, unscored=unscored)
    return Problem(problem.id, tuple(rows), tally)


def _scores(
    problem: Recorded, steps: Sequence[tuple[str, ...]], by: Scoring | None
) -> list[tuple[float, ...]]:
    """Scores of the question and of each sample."""
    if scored(problem) or by is None:
        known = () if problem.question_score is None else (problem.question_score,)
        return [known, *(_own_scores(sample) for sample in problem.samples)]
    if not problem.question.strip():
        message = (
            f"problem {problem.id!r} has neither all its scores nor a question, so it cannot be scored: record the "
            "'question', or the 'question_score' and all 'scores'"
        )
        raise CalibrationError(message)
    return score(by, as_prompt(problem), [Path(done=False), *(Path(own) for own in steps)])


def _own_scores(sample: RecordedSample) -> tuple[float, ...]:
    if sample.scores is not None:
        return sample.scores
    return () if sample.prm_score is None else (sample.prm_score,)
