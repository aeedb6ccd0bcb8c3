"""Corrections by kind of path, learned from problems that the training did not see.

For each kind: slope and bias of the mean's logit and a shift of the log spread by maximum (Beta-)binomial likelihood, held
near no correction by a weak normal prior; a monotone curve from there to the mean, as the post-hoc calibration has; then the levels at which the quantiles cover as they should, as
`calibration.conformal` finds them. Few problems leave the general correction of all kinds in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import betaln, expit

from adaptive_middleware.calibration.conformal import FEWEST_PROBLEMS
from adaptive_middleware.calibration.coverage import Units, shares_below, transforms, units
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.features import KINDS
from adaptive_middleware.calibration.posthoc import LOWER
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.scoring.quantiles_reading import Correction, Floats, Reading, read

_PROBLEMS, _PATHS, _ROUNDS = 20, 60, 2
_INSIDE = (0.002, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.998)
_GRID = np.linspace(0.005, 0.995, 199)
_PRIOR = np.array([0.3, 0.5, 1.0])
_EDGE = 1e-4
_BINS_PER_ROOT, _MOST_BINS, _SHRINK, _DIGITS = 0.8, 30, 5.0, 6


def corrections(reading: Reading, raw: Floats, examples: Sequence[Example]) -> Mapping[str, Correction]:
    """A correction for every kind; `raw` are the outputs (features added) for the examples.

    Raises `CalibrationError` for fewer than nine problems: then no 10 % bound exists.
    """
    problems = len({example.group for example in examples})
    if problems < FEWEST_PROBLEMS:
        message = (
            f"{problems} problems are kept from training, too few for a lower bound that covers {1 - LOWER:.0%}: at least "
            f"{FEWEST_PROBLEMS} are needed; add problems, or raise the share held out"
        )
        raise CalibrationError(message)
    general = _correction(reading, raw, examples)
    found = {}
    for kind in KINDS:
        own = [i for i, example in enumerate(examples) if example.kind == kind]
        chosen = [examples[i] for i in own]
        found[kind] = _correction(reading, raw[own], chosen) if _enough(chosen) else general
    return found


def _enough(own: Sequence[Example]) -> bool:
    rate = sum(example.success for example in own) / max(len(own), 1)
    return len({example.group for example in own}) >= _PROBLEMS and len(own) >= _PATHS and 0 < rate < 1


def _correction(reading: Reading, raw: Floats, examples: Sequence[Example]) -> Correction:
    means, _ = read(reading.shape, raw, reading.levels, Correction())
    fitted = _likeliest(reading, raw, units(examples, _tenths(means)))
    fitted = replace(fitted, means=_monotone(fitted.slope * raw[:, 0] + fitted.bias, examples))
    means, _ = read(reading.shape, raw, reading.levels, fitted)
    return _conformal(reading, raw, units(examples, _tenths(means)), len({e.group for e in examples}), fitted)


def _tenths(means: Floats) -> list[int]:
    return [int(value) for value in np.minimum(means * 10, 9)]


def _likeliest(reading: Reading, raw: Floats, found: Units) -> Correction:
    k, m = found.right, found.trials

    def cost(parameters: Floats) -> float:
        slope, bias, shift = parameters
        mean = np.clip(found.mean(expit(slope * raw[:, 0] + bias)), _EDGE, 1 - _EDGE)
        spread = (
            np.exp(np.clip(found.mean(raw[:, 1]) + shift, -3.0, 7.0)) if reading.shape == "beta" else np.inf
        )
        if reading.shape == "beta":
            a, b = mean * spread, (1 - mean) * spread
            likelihood = betaln(a + k, b + m - k) - betaln(a, b)
        else:
            likelihood = k * np.log(mean) + (m - k) * np.log1p(-mean)
        prior = (((parameters - [1.0, 0.0, 0.0]) / _PRIOR) ** 2).sum() / 2
        return float(prior - likelihood.sum())

    start = np.array([1.0, 0.0, 0.0])
    slope, bias, shift = minimize(cost, start, method="L-BFGS-B", bounds=[(0.05, 5), (-4, 4), (-4, 4)]).x
    return Correction(float(slope), float(bias), (), float(shift))


def _monotone(index: Floats, examples: Sequence[Example]) -> tuple[tuple[float, float], ...]:
    """(index, mean) pairs that both ascend: rates of equal-mass bins, shrunk to the logistic curve, made monotone."""
    wanted = min(max(int(_BINS_PER_ROOT * sqrt(len(index))), 1), _MOST_BINS)
    edges = np.unique(np.quantile(index, np.arange(1, wanted) / wanted))
    bins = np.unique(np.searchsorted(edges, index), return_inverse=True)[1]
    counts = np.bincount(bins).astype(np.float64)
    centres = np.bincount(bins, index) / counts
    success = np.array([example.success for example in examples])
    rates = (np.bincount(bins, success) + _SHRINK * expit(centres)) / (counts + _SHRINK)
    means = np.clip(isotonic_regression(rates, weights=counts).x, _EDGE, 1 - _EDGE)
    pairs = dict(zip(centres.round(_DIGITS).tolist(), means.round(_DIGITS).tolist(), strict=True))
    return tuple(sorted(pairs.items()))


def _conformal(reading: Reading, raw: Floats, found: Units, problems: int, fitted: Correction) -> Correction:
    """`fitted` with the levels at which 10 % and 90 % of the measured successes lie below (conformal risk control)."""
    miss = max((LOWER * (problems + 1) - 1) / problems, 0.0)
    for _ in range(_ROUNDS):
        _, rows = _inside(reading, raw, fitted)
        below, upto = transforms(found.mean(rows), _INSIDE, found.right, found.trials)
        shares = [np.average(shares_below(float(v), below, upto), weights=found.sizes) for v in _GRID]
        reached = np.array(shares) + 1e-12 * np.arange(len(_GRID))
        wanted = np.interp([miss, 1 - miss], reached, _GRID)
        corners = [0.0, fitted.lower, fitted.upper, 1.0]
        lower, upper = (float(v) for v in np.interp(wanted, [0.0, LOWER, 1 - LOWER, 1.0], corners))
        fitted = replace(fitted, lower=min(max(lower, 0.002), 0.45), upper=min(max(upper, 0.55), 0.998))
    return fitted


def _inside(reading: Reading, raw: Floats, fitted: Correction) -> tuple[Floats, Floats]:
    """Means, and quantiles at the levels `_INSIDE`, whichever the reading has itself."""
    if reading.shape == "beta":
        return read("beta", raw, _INSIDE, fitted)
    means, own = read(reading.shape, raw, reading.levels, fitted)
    edges = np.column_stack([np.zeros(len(own)), own, np.ones(len(own))])
    at = [0.0, *reading.levels, 1.0]
    return means, np.array([np.interp(_INSIDE, at, row) for row in edges])
