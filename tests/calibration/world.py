"""A made-up policy and an over-confident reward model: the true success probability of every path is known."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log

from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.types import Estimate


@dataclass(frozen=True, slots=True)
class Known:
    """An example and the probability that it was drawn from."""

    example: Example
    truth: float


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def logit(p: float) -> float:
    clamped = min(max(p, 1e-6), 1 - 1e-6)
    return log(clamped / (1 - clamped))


def world(problems: int, seed: int, rollouts: int = 8) -> list[Known]:
    """Three answers to each problem: the question, a prefix per step with `rollouts`, and the finished answer."""
    rng = random.Random(seed)
    names = [f"p{seed}-{number}" for number in range(problems)]
    return [known for name in names for known in _problem(name, rng, rollouts)]


def examples(problems: int, seed: int, rollouts: int = 8) -> list[Example]:
    return [known.example for known in world(problems, seed, rollouts)]


def judged(rng: random.Random, p: float) -> float:
    """The reward model: a noisy, over-confident reading of the truth."""
    return sigmoid(1.6 * logit(p) + 0.8 + rng.gauss(0, 1))


def _problem(name: str, rng: random.Random, rollouts: int) -> Iterator[Known]:
    def measured(scores: tuple[float, ...], logprobs: tuple[float, ...] | None, p: float) -> Known:
        right = sum(rng.random() < p for _ in range(rollouts))
        steps = 0 if logprobs is None else len(scores)
        return Known(Example(scores, steps, False, logprobs, right / rollouts, rollouts, name), p)

    level = rng.gauss(0, 2)
    yield measured((judged(rng, sigmoid(level)),), None, sigmoid(level))
    for _ in range(3):
        now = level
        scores: tuple[float, ...] = ()
        logprobs: tuple[float, ...] = (-0.01,)
        for _ in range(rng.randint(2, 4)):
            slip = rng.gauss(0.3, 1.2)
            now += slip
            scores = (*scores, judged(rng, sigmoid(now)))
            logprobs = (*logprobs, log(sigmoid(slip + 1 + rng.gauss(0, 0.5))))
            yield measured(scores, logprobs, sigmoid(now))
        right = float(rng.random() < sigmoid(now))
        scores = (*scores, judged(rng, 0.15 + 0.7 * right))
        yield Known(Example(scores, len(scores), True, logprobs, right, 1, name), right)


def answers(problems: int, per_problem: int, seed: int) -> list[Example]:
    """Whole-answer scores only; problems differ in how often the same score is right."""
    rng = random.Random(seed)
    rows = []
    for number in range(problems):
        level = rng.gauss(0, 1.5)
        for _ in range(per_problem):
            quality = rng.gauss(0, 1.5)
            right = float(rng.random() < sigmoid(level + quality))
            score = sigmoid(1.5 * quality + 0.5)
            rows.append(Example((score,), 1, True, None, right, 1, f"a{seed}-{number}"))
    return rows


def lengthy(problems: int, per_problem: int, seed: int, weight: float) -> list[Example]:
    """Whole-answer scores of answers whose log odds of being right change by `weight` per standard deviation of log length.

    Problems differ in how long their answers are, which says nothing by itself.
    """
    rng = random.Random(seed)
    rows = []
    for number in range(problems):
        level, usual = rng.gauss(0, 1), rng.gauss(4.5, 0.7)
        for _ in range(per_problem):
            quality, longer = rng.gauss(0, 1), rng.gauss(0, 1)
            right = float(rng.random() < sigmoid(level + quality + weight * longer))
            tokens = round(exp(usual + 0.7 * longer)) + 1
            score = sigmoid(1.5 * quality + 0.5)
            rows.append(Example((score,), 1, True, None, right, 1, f"l{seed}-{number}", tokens))
    return rows


def estimated(calibration: Calibration, example: Example) -> Estimate:
    return calibration.estimate(example.scores, example.steps, example.done, example.logprobs, example.tokens)
