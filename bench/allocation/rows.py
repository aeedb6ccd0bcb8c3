"""Rows: what a rule's figures come to, with 95 % intervals from 2000 resamples of the problems."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from bench.allocation.curve import Floats, costs_at

RESAMPLES = 2000
RIGHT, SAMPLES, GENERATED, PROMPT, SCORED = range(5)


@dataclass(frozen=True, slots=True)
class Span:
    """A number with the 95 % percentile interval of its resamples; ends may be infinite."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line: means per problem, and the share of what fixed N costs at the same accuracy.

    Tokens that are not known are NaN; `share` is None where no fixed N is as accurate. `difference` (accuracy)
    and `ratio` (cost) compare with the reference on the same problems, where there is one.
    """

    policy: str
    group: str
    accuracy: Span
    samples: float
    generated: float
    prompt: float
    prm: float
    share: Span | None
    difference: Span | None = None
    ratio: Span | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """What a rule did, (problems, 5), and the fixed-N curve of the same selection, (problems, N, 5)."""

    figures: Floats
    curve: Floats


@dataclass(frozen=True, slots=True)
class Resamples:
    """Bootstrap resamples of the problems, the same for every row: `weights` is (2000, problems), rows sum to 1."""

    weights: Floats

    def span(self, values: Floats) -> Span:
        """The mean of one value a problem."""
        return _span(float(values.mean()), self.weights @ values)

    def ratio(self, over: Floats, under: Floats) -> Span:
        """The ratio of two means, each of one value a problem."""
        return _span(float(over.mean() / under.mean()), (self.weights @ over) / (self.weights @ under))

    def row(self, policy: str, group: str, done: Pair, unit: int, reference: Floats | None = None) -> Row:
        """The row of what was done; with a reference (problems, 5), compared with it problem by problem."""
        figures = done.figures
        means = [float(value) for value in figures.mean(axis=0)]
        share = self.share(figures, done.curve, unit)
        return Row(
            policy=policy,
            group=group,
            accuracy=self.span(figures[:, RIGHT]),
            samples=means[SAMPLES],
            generated=means[GENERATED],
            prompt=means[PROMPT],
            prm=means[SCORED],
            share=share if share.value > 0 else None,
            difference=None if reference is None else self.span(figures[:, RIGHT] - reference[:, RIGHT]),
            ratio=None if reference is None else self.ratio(figures[:, unit], reference[:, unit]),
        )

    def share(self, figures: Floats, curve: Floats, unit: int) -> Span:
        """Cost in `unit` over what the fixed-N curve asks for the same accuracy; 0 beyond the curve's end.

        Each resample of the problems has a curve of its own.
        """
        cost, accuracy = figures[:, unit], figures[:, RIGHT]
        whole = curve.mean(axis=0)
        value = float(
            cost.mean()
            / costs_at(whole[None, :, RIGHT], whole[None, :, unit], accuracy.mean(keepdims=True))[0]
        )
        fixed = costs_at(
            self.weights @ curve[:, :, RIGHT], self.weights @ curve[:, :, unit], self.weights @ accuracy
        )
        return _span(value, (self.weights @ cost) / fixed)


def resamples(problems: int, seed: int) -> Resamples:
    """2000 draws of `problems` from as many, with replacement."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(problems, np.full(problems, 1 / problems), size=RESAMPLES)
    return Resamples(counts / problems)


def as_json(recording: str, one: Row) -> dict[str, object]:
    """The row as `leaderboard.json` has it: null for what is not known."""
    return {
        "recording": recording,
        "policy": one.policy,
        "accuracy": _rounded(one.accuracy.value, 4),
        "accuracy_ci95": [_rounded(one.accuracy.low, 4), _rounded(one.accuracy.high, 4)],
        "samples": _rounded(one.samples, 2),
        "generated_tokens": _rounded(one.generated, 1),
        "prompt_tokens": _rounded(one.prompt, 1),
        "prm_tokens": _rounded(one.prm, 1),
        "share_at_equal_accuracy": None if one.share is None else _rounded(one.share.value, 4),
    }


def absent(recording: str) -> dict[str, object]:
    """The row of a recording that is not on this machine."""
    numbers = ("accuracy", "accuracy_ci95", "samples", "generated_tokens", "prompt_tokens", "prm_tokens")
    return {
        "recording": recording,
        "policy": "absent",
        **dict.fromkeys(numbers),
        "share_at_equal_accuracy": None,
    }


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) + 0.0 if isfinite(value) else None


def _span(value: float, resampled: Floats) -> Span:
    tail = RESAMPLES // 40
    ordered = np.sort(resampled)
    return Span(value, float(ordered[tail]), float(ordered[-tail - 1]))
