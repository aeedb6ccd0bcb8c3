"""Which policy would have been better on recorded traffic, and whether the process reward model beats a vote.

Paired by problem: rivals meet the same samples in the same orders, and problems are resampled for all of them together.
The intervals of the rivals hold jointly (Bonferroni), so that trying many does not by itself find a better one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adaptive_middleware.audit.contest import Contender, Played
from adaptive_middleware.audit.judged import Floats, resamples

FEWEST = 10
"""Problems below which no policy is recommended."""

_EQUAL, _CLEARLY_FEWER = 0.005, 0.9
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Compared:
    """A rival beside the policy in use: its own figures, and differences with joint 95 % intervals.

    `gain` is the rival's accuracy minus the policy's, `token_share` its generated tokens as a share of the policy's.
    """

    rival: Contender
    accuracy: float
    samples: float
    tokens: float
    prm_tokens: float
    gain: float
    gain_ci95: tuple[float, float]
    token_share: float
    token_share_ci95: tuple[float, float]

    @property
    def better(self) -> bool:
        """More accurate at no more tokens, or as accurate (within half a point) at clearly fewer."""
        more = self.gain_ci95[0] > 0 and self.token_share <= 1
        same = self.gain_ci95[0] >= -_EQUAL and self.token_share_ci95[1] < 1
        return more or (same and self.token_share <= _CLEARLY_FEWER)


@dataclass(frozen=True, slots=True)
class Paired:
    """A mean difference over problems with its 95 % interval."""

    value: float
    low: float
    high: float


def compared(policy: Played, rivals: Sequence[Played], seed: int = 0) -> list[Compared]:
    """Every rival beside the policy in use."""
    rng = np.random.default_rng(seed)
    columns = [
        policy.tokens,
        *(column for one in rivals for column in (one.correct - policy.correct, one.tokens)),
    ]
    means = resamples(np.column_stack(columns), rng)
    tail = _TAIL / max(len(rivals), 1)
    return [_compared(policy, one, means[:, [0, 1 + 2 * i, 2 + 2 * i]], tail) for i, one in enumerate(rivals)]


def better(found: Sequence[Compared]) -> Compared | None:
    """The most accurate of the better rivals, the cheaper one of equals; None when there is none."""
    winners = [one for one in found if one.better]
    return max(winners, key=lambda one: (one.accuracy, -one.tokens), default=None)


def difference(one: Played, other: Played, seed: int = 0) -> Paired:
    """Accuracy of `one` minus that of `other`."""
    gains = one.correct - other.correct
    low, high = np.quantile(resamples(gains[:, None], np.random.default_rng(seed)), [_TAIL, 1 - _TAIL])
    return Paired(float(gains.mean()), float(low), float(high))


def _compared(policy: Played, rival: Played, means: Floats, tail: float) -> Compared:
    tokens, spent = float(rival.tokens.mean()), float(policy.tokens.mean())
    gain = np.quantile(means[:, 1], [tail, 1 - tail])
    share = np.quantile(means[:, 2] / np.maximum(means[:, 0], 1e-9), [tail, 1 - tail])
    return Compared(
        rival.contender,
        float(rival.correct.mean()),
        float(rival.samples.mean()),
        tokens,
        float(rival.prm_tokens.mean()),
        float((rival.correct - policy.correct).mean()),
        (float(gain[0]), float(gain[1])),
        tokens / max(spent, 1e-9),
        (float(share[0]), float(share[1])),
    )
