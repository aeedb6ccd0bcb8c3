"""The test of a calibration: whether outcomes fit answers that are right with their given probability.

Cox's logistic recalibration (1958): logit P(right) = intercept + slope * logit p, and a calibrated p has intercept 0
and slope 1. The score test of that needs no fit: under it, sums of (right - p) and of (right - p) * logit p have
mean 0. Answers to one problem are not independent, so their covariance is that of whole problems.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import chi2, f

from adaptive_middleware.audit.judged import Floats, Judged, clustered

_CLAMP = 1e-3
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Evidence:
    """Result of the test: `p_value`, and the fitted `intercept` (0 when calibrated) and `slope` (1).

    An intercept below 0 says that p promises too much, a slope below 1 that p is too sure in both directions.
    """

    p_value: float
    intercept: float
    slope: float


def evidence(judged: Judged) -> Evidence:
    """Cox's test on at least one judged answer, sensible from 10 problems on.

    The p-value is the larger of two: Hotelling's T-squared with the covariance seen between problems, and
    chi-squared with the covariance that binomial answers have which share one correlation inside problems. With few
    problems the first alone rejects too often, because the residuals of a problem are skewed; outcomes that happen to be all alike
    would pass for certainty.
    """
    given = np.clip(np.array(judged.p), _CLAMP, 1 - _CLAMP)
    design = np.column_stack([np.ones(judged.n), logit(given)])
    scores = clustered(-judged.residuals[:, None] * design, judged.problem)
    total, modelled = scores.sum(axis=0), _modelled(judged, design, given * (1 - given))
    alike = float(chi2.sf(_distance(total, modelled), _rank(modelled)))
    intercept, slope = _recalibration(judged, design)
    return Evidence(max(_hotelling(total, scores), alike), intercept, slope)


def _modelled(judged: Judged, design: Floats, variance: Floats) -> Floats:
    """Covariance of the scores when answers of a problem correlate equally; the correlation is estimated, at least 0."""
    deviation, residuals = np.sqrt(variance), judged.residuals
    columns = np.column_stack([residuals, residuals**2, deviation, variance])
    together, squares, deviations, variances = clustered(columns, judged.problem).T
    pairs = float((deviations**2 - variances).sum())
    shared = float((together**2 - squares).sum()) / pairs if pairs > 1e-9 else 0.0
    correlation = min(max(shared, 0.0), 1.0)
    alone = design.T @ (variance[:, None] * design)
    common = clustered(deviation[:, None] * design, judged.problem)
    return np.asarray((1 - correlation) * alone + correlation * common.T @ common)


def _hotelling(total: Floats, scores: Floats) -> float:
    """P-value of Hotelling's T-squared from the uncentred form, which never exceeds the number of problems."""
    problems, covariance = len(scores), scores.T @ scores
    rank = _rank(covariance)
    if rank == 0 or problems <= rank:
        return 1.0
    distance = _distance(total, covariance)
    ratio = distance / max(problems - distance, 1e-12)
    return float(f.sf((problems - rank) / rank * ratio, rank, problems - rank))


def _distance(total: Floats, covariance: Floats) -> float:
    return float(total @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ total)


def _rank(covariance: Floats) -> int:
    return int(
        np.linalg.matrix_rank(covariance, tol=1e-9 * max(float(np.trace(covariance)), 1e-12), hermitian=True)
    )


def _recalibration(judged: Judged, design: Floats) -> tuple[float, float]:
    """Intercept and slope by maximum likelihood, held finite by a weak pull towards (0, 1)."""
    right = np.array(judged.right, dtype=np.float64)
    calibrated = np.array([0.0, 1.0])

    def loss(weights: Floats) -> tuple[float, Floats]:
        z, off = design @ weights, weights - calibrated
        value = (np.logaddexp(0, z) - right * z).sum() + _RIDGE * (off @ off) / 2
        return float(value), design.T @ (expit(z) - right) + _RIDGE * off

    found = minimize(loss, calibrated, jac=True, method="BFGS").x
    return float(found[0]), float(found[1])
