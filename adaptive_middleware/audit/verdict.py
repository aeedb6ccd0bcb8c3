"""The verdict: the stated rule by which a calibration holds, does not hold, or has too little to be judged by.

It does not hold when an error is both certain and large. With tolerance t (0.03 by default):

1. test: Cox's test rejects at 1 % and the calibration error is above t;
2. error: the whole 95 % interval of the calibration error is above t, and chance alone would show as much in less than 1 %;
3. coverage: the whole 95 % interval of the lower quantile's coverage is below 0.9 - t;
4. drift: the CUSUM test rejects at 1 % and the bias of the later half is beyond t.

With fewer than 10 problems none of them is decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from adaptive_middleware.audit.error import Bias
from adaptive_middleware.audit.findings import Findings
from adaptive_middleware.calibration.posthoc import LOWER

TOLERANCE = 0.03
FEWEST = 10
_LEVEL = 0.01
_TOO_WIDE = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the calibration holds, the reasons why not, and how many problems it would take to tell.

    `need` is None where there are enough: where a bias of 0.1 would have shown. A calibration that cannot be judged
    holds, with `need` set.
    """

    holds: bool
    reasons: tuple[str, ...]
    need: int | None = None


UNJUDGED = Verdict(holds=True, reasons=())
"""Of traffic without a single probability: nothing speaks against the calibration."""


def verdict(found: Findings, tolerance: float = TOLERANCE) -> Verdict:
    """The verdict of the rule above."""
    reasons = tuple(_reasons(found, tolerance)) if found.problems >= FEWEST else ()
    few = found.problems < FEWEST or (found.bias.half_width > _TOO_WIDE and not reasons)
    return Verdict(not reasons, reasons, _need(found) if few else None)


def _need(found: Findings) -> int:
    """Problems at which the bias is known to 0.1: the interval narrows with the root of their number."""
    reach = found.problems * (found.bias.half_width / _TOO_WIDE) ** 2
    return max(FEWEST, ceil(reach / 10) * 10)


def _reasons(found: Findings, tolerance: float) -> Iterator[str]:
    error, test, coverage, drift = found.error, found.test, found.coverage, found.drift
    if test.p_value < _LEVEL and error.value > tolerance:
        yield (
            f"test: outcomes do not fit the probabilities (p-value {test.p_value:.2g}), which {_promise(found.bias)}; "
            f"calibration error {error.value:.3f} > {tolerance:g}"
        )
    if error.low > tolerance and error.by_chance < _LEVEL:
        yield f"error: calibration error {error.value:.3f}, at least {error.low:.3f} > {tolerance:g}"
    if coverage is not None and coverage.high < 1 - LOWER - tolerance:
        yield (
            f"coverage: the {LOWER:.0%} quantile covers {coverage.share:.1%}, at most {coverage.high:.1%}, "
            f"where {1 - LOWER:.0%} was promised"
        )
    if drift is not None and drift.p_value < _LEVEL and abs(drift.late.value) > tolerance:
        yield (
            f"drift: the error changed on the way (p-value {drift.p_value:.2g}, most around problem {drift.changed_at}); "
            f"the later half's probabilities {_promise(drift.late)}"
        )


def _promise(bias: Bias) -> str:
    direction = "much" if bias.value > 0 else "little"
    return f"promise {abs(bias.value):.1%} too {direction}"
