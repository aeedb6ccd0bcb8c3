"""Drift: whether a calibration went wrong on the way, although it may be right on average.

CUSUM of what came of each call minus what was promised, in time order (Page 1954; as a test on a whole sequence, Brown,
Durbin and Evans 1975): centred and scaled, its largest excursion has Kolmogorov's distribution when nothing changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import kolmogorov
from scipy.stats import ks_2samp

from adaptive_middleware.audit.error import Bias, bias
from adaptive_middleware.audit.judged import Judged, clustered

FEWEST = 40
"""Problems below which a change is not looked for."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What changed over time.

    `p_value` is that of the CUSUM test for a change of the error; `changed_at` the problem at which it is furthest out, counted
    from 0 in time order. `early` and `late` are the bias of each half. `traffic_p_value` compares the given
    probabilities of the halves (Kolmogorov-Smirnov): traffic may become harder while the calibration still holds.
    """

    p_value: float
    changed_at: int
    early: Bias
    late: Bias
    traffic_p_value: float


def drift(judged: Judged) -> Drift | None:
    """Drift over answers in time order, or None with fewer than 40 problems.

    A problem counts once, when it is first seen, so that answers to one problem do not pass for many.
    """
    sums = clustered(np.column_stack([judged.residuals, judged.p, np.ones(judged.n)]), judged.problem)
    problems = len(sums)
    if problems < FEWEST:
        return None
    excursion = np.abs(np.cumsum(sums[:, 0] - sums[:, 0].mean()))[:-1]
    given = np.array(judged.p)
    spread = max(sums[:, 0].std(), sqrt(float((given * (1 - given)).sum()) / problems), 1e-9)
    largest = float(excursion.max()) / (spread * sqrt(problems))
    first = dict.fromkeys(judged.problem)
    early = set(list(first)[: problems // 2])
    before = np.array([name in early for name in judged.problem])
    p = sums[:, 1] / sums[:, 2]
    return Drift(
        float(kolmogorov(largest)),
        int(excursion.argmax()) + 1,
        bias(judged.where(before)),
        bias(judged.where(~before)),
        float(ks_2samp(p[: problems // 2], p[problems // 2 :]).pvalue),
    )
