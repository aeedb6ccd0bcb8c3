"""Made-up traffic whose calibration is known: answers that are right with exactly their given probability, or not."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import norm

from adaptive_middleware.audit.judged import Judged
from adaptive_middleware.recording import Problem, RecordedSample, write_recording
from tests.calibration.world import answers, sigmoid

SCORED = Callable[[float], float]


def judged(
    problems: int,
    each: int,
    seed: int,
    *,
    shared: float = 0.3,
    shift: float = 0.0,
    slope: float = 1.0,
    late: float = 0.0,
) -> Judged:
    """Answers that are right with probability sigmoid(slope * logit p - shift), `late` more of it in the second half.

    Outcomes of a problem are correlated (`shared`, a Gaussian copula), so that each keeps its own probability.
    """
    rng = np.random.default_rng(seed)
    z = np.repeat(rng.normal(0, 1.5, problems), each) + rng.normal(0, 1, problems * each)
    less = shift + late * (np.arange(len(z)) >= len(z) / 2)
    truth = 1 / (1 + np.exp(less - slope * z))
    common = np.repeat(rng.normal(0, 1, problems), each)
    drawn = norm.cdf(np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(0, 1, len(z)))
    names = np.repeat(np.arange(problems), each).astype(str)
    return Judged(tuple(1 / (1 + np.exp(-z))), tuple((drawn < truth).astype(float)), tuple(names))


def recording(
    file: Path,
    problems: int = 80,
    each: int = 4,
    *,
    seed: int = 2,
    score: SCORED = lambda s: s,
    agree: float = 0.3,
) -> Path:
    """A recording of `tests.calibration.world.answers`, with scores changed by `score`.

    A wrong answer is the same wrong one with probability `agree`, else one of its own.
    """
    rng = random.Random(seed)
    rows: dict[str, list[RecordedSample]] = {}
    for number, example in enumerate(answers(problems, each, seed)):
        right = example.success == 1
        answer = "42" if right else "7" if rng.random() < agree else f"{number + 1000}"
        made = RecordedSample(
            f"It is {answer}.", right, rng.randint(5, 15), answer=answer, prm_score=score(example.scores[0])
        )
        rows.setdefault(example.group, []).append(made)
    write_recording(file, [Problem(name, f"question {name}", tuple(made)) for name, made in rows.items()])
    return file


def surer(score: float) -> float:
    """A reward model that became surer of itself: its scores moved up by 2.5 in log odds."""
    return sigmoid(np.log(score / (1 - score)) + 2.5)
