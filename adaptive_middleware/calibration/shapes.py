"""The statistical model behind one quantile map: an index, and a Beta distribution along it.

1. Index: logistic regression of success on the standardised features, slightly ridged; weights of scores and
   log-probabilities are held at >= 0 (L-BFGS-B), those of step count, end and length are free.
2. Mean: paths are binned by index (equal mass, 0.8 sqrt(n) bins, at most 30), the bins' success rates, shrunk by one
   path of average success, made monotone by isotonic regression (pool adjacent violators).
3. Spread: in each bin the success probability is Beta(mean * s, (1 - mean) * s). k of m is then
   Beta-binomial, which tells true spread from binomial noise. s is a common value times
   (4 mean (1 - mean))^-t, t = 0, 1/2 or 1 (spread that narrows towards 0 and 1: none, some, as noise on the logit
   does), both by maximum likelihood over all bins; then each bin moves away from it as far as its own likelihood
   carries it against a log-normal prior. With one trial per unit there is nothing to tell spread from
   noise, and the weak prior on the common value (around 8) stands.

Needs numpy and scipy, which only fitting and evaluation do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import betaincinv, betaln, expit

from adaptive_middleware.calibration.coverage import Floats, Ints, Units, units
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.features import features
from adaptive_middleware.calibration.posthoc import LOWER, UPPER, QuantileMap
from adaptive_middleware.logprobs import summary

_FREE = ("steps", "done", "length")
_RIDGE = 1e-3
_BINS_PER_ROOT, _MOST_BINS = 0.8, 30
_EDGE = 1e-4
_SPREADS = 0.25 * 1.3 ** np.arange(31)
_TAPERS = (0.0, 0.5, 1.0)
_COMMON, _COMMON_SD, _OWN_SD = 8.0, 1.5, 0.7
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Shape:
    """Index weights, and per bin its centre on the index, its mean success and its spread s."""

    names: tuple[str, ...]
    weights: Floats
    bias: float
    centres: Floats
    counts: Floats
    means: Floats
    spreads: Floats

    def index(self, matrix: Floats) -> Floats:
        """Index of each row of features."""
        return np.asarray(self.bias + matrix @ self.weights, dtype=np.float64)


def matrix_of(examples: Sequence[Example], names: Sequence[str]) -> Floats:
    """The named features, one row per example."""
    rows = [features(e.scores, e.steps, e.done, summary(e.logprobs), e.tokens) for e in examples]
    return np.array([[row[name] for name in names] for row in rows])


def shape(examples: Sequence[Example], matrix: Floats, names: Sequence[str]) -> Shape:
    """The model fitted to examples and their features."""
    success = np.array([example.success for example in examples])
    weights, bias = regression(matrix, success, names)
    index = bias + matrix @ weights
    bins = _bins(index)
    counts = np.bincount(bins).astype(np.float64)
    centres = np.bincount(bins, index) / counts
    rates = (np.bincount(bins, success) + success.mean()) / (counts + 1)
    means = np.clip(isotonic_regression(rates, weights=counts).x, _EDGE, 1 - _EDGE)
    spreads = _spreads(examples, bins, means)
    return Shape(tuple(names), weights, bias, centres, counts, means, spreads)


def quantile_map(model: Shape, levels: Sequence[float], read_at: Sequence[float]) -> QuantileMap:
    """The curves of a model: for each of `levels` the Beta quantile at the (conformalised) level `read_at`.

    Isotonic regression keeps the order of its inputs, so the quantiles still do not cross. The outer ones are
    held at or beyond the mean, which only widens the band.
    """
    a, b = model.means * model.spreads, (1 - model.means) * model.spreads
    raw = [betaincinv(a, b, level) for level in read_at]
    rows = np.array([isotonic_regression(row, weights=model.counts).x for row in raw])
    for level, row in zip(levels, rows, strict=True):
        if level <= LOWER:
            np.minimum(row, model.means, out=row)
        elif level >= UPPER:
            np.maximum(row, model.means, out=row)
    rows = np.clip(np.maximum.accumulate(rows, axis=0), 0.0, 1.0)
    centres = model.centres.round(_DIGITS)
    kept = np.concatenate([[True], np.diff(centres) > 0])
    return QuantileMap(
        model.names,
        tuple(model.weights.tolist()),
        model.bias,
        tuple(centres[kept].tolist()),
        tuple(model.means[kept].round(_DIGITS).tolist()),
        tuple(tuple(row[kept].round(_DIGITS).tolist()) for row in rows),
    )


def regression(matrix: Floats, success: Floats, names: Sequence[str]) -> tuple[Floats, float]:
    """Weights of the named features and the bias: the index of a row is bias + row @ weights, a log odds."""
    centre, scale = matrix.mean(axis=0), matrix.std(axis=0)
    used = scale > 1e-9
    design = np.where(used, (matrix - centre) / np.where(used, scale, 1.0), 0.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        z = design @ weights[1:] + weights[0]
        penalty = _RIDGE * weights * (np.arange(len(weights)) > 0)
        residual = (expit(z) - success) / len(success)
        value = (np.logaddexp(0, z) - success * z).mean() + (penalty * weights).sum() / 2
        return float(value), np.concatenate([[residual.sum()], residual @ design]) + penalty

    bounds = [(None, None), *((None, None) if name in _FREE else (0, None) for name in names)]
    found = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = np.where(used, found[1:] / np.where(used, scale, 1.0), 0.0).round(2 * _DIGITS)
    return weights, float(round(float(found[0] - weights @ centre), 2 * _DIGITS))


def _bins(index: Floats) -> Ints:
    """Bin of each index: equal mass, equal values together, none empty."""
    wanted = min(max(int(_BINS_PER_ROOT * sqrt(len(index))), 1), _MOST_BINS)
    edges = np.unique(np.quantile(index, np.arange(1, wanted) / wanted))
    found: Ints = np.unique(np.searchsorted(edges, index), return_inverse=True)[1]
    return found


def _spreads(examples: Sequence[Example], bins: Ints, means: Floats) -> Floats:
    found = units(examples, bins.tolist())
    own = found.mean(bins.astype(np.float64)).round().astype(np.int64)
    logs = np.log(_SPREADS)
    best, chosen = -np.inf, np.ones(len(means))
    for taper in _TAPERS:
        scale = (4 * means * (1 - means)) ** -taper
        likelihoods = _likelihoods(found, own, means, scale)
        common = likelihoods.sum(axis=0) - ((logs - np.log(_COMMON)) / _COMMON_SD) ** 2 / 2
        if common.max() > best:
            best = common.max()
            prior = ((logs - logs[np.argmax(common)]) / _OWN_SD) ** 2 / 2
            chosen = scale * _SPREADS[np.argmax(likelihoods - prior, axis=1)]
    return np.asarray(chosen)


def _likelihoods(found: Units, own: Ints, means: Floats, scale: Floats) -> Floats:
    """Beta-binomial log-likelihood of each bin (row) under each scaled spread (column)."""
    k, m = found.right[:, None], found.trials[:, None]
    a, b = ((part * scale)[own][:, None] * _SPREADS for part in (means, 1 - means))
    likelihoods = np.zeros((len(means), len(_SPREADS)))
    np.add.at(likelihoods, own, betaln(a + k, b + m - k) - betaln(a, b))
    return likelihoods
