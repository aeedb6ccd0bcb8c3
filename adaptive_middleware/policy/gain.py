"""What one more sample is expected to add to the probability that the returned answer is right."""

from __future__ import annotations

from math import erfc, exp, isinf, log, sqrt

_CLAMP = 1e-4


def gain(leader: float, chance: float, base_rate: float, sharpness: float) -> float:
    """Expected rise of the best calibrated probability by one more sample: E[max(c - leader, 0)].

    The new sample is right with probability `chance`. Its calibrated probability c is read off a score
    whose log likelihood ratio is normal with mean +d^2/2 for right and -d^2/2 for wrong answers and standard
    deviation d = `sharpness` (equal-variance signal detection, Green and Swets 1966; its AUROC within a
    question is Phi(d / sqrt 2)), on top of the log odds of `base_rate`. With a perfect judge (d infinite) c
    is 1 or 0, and the gain (1 - leader) * chance. The normal is represented by 15 equally likely points.

    >>> gain(0.5, 0.3, 0.3, float("inf"))
    0.15
    >>> gain(0.9, 0.3, 0.3, 1.0) < gain(0.5, 0.3, 0.3, 1.0) < 0.15
    True
    """
    if isinf(sharpness):
        return (1 - leader) * chance
    clipped = min(max(base_rate, _CLAMP), 1 - _CLAMP)
    prior, shift = log(clipped / (1 - clipped)), sharpness * sharpness / 2
    right = wrong = 0.0
    for z in _NORMAL:
        right += max(_sigmoid(prior + shift + sharpness * z) - leader, 0.0)
        wrong += max(_sigmoid(prior - shift + sharpness * z) - leader, 0.0)
    return (chance * right + (1 - chance) * wrong) / len(_NORMAL)


def reaches(target: float, chance: float, base_rate: float, sharpness: float) -> float:
    """Chance that one more sample has a calibrated probability of at least `target`, in the model of `gain`.

    >>> round(reaches(0.5, 0.5, 0.5, 1.0), 6), reaches(0.9, 0.25, 0.5, float("inf"))
    (0.5, 0.25)
    """
    if isinf(sharpness):
        return chance
    clipped = min(max(base_rate, _CLAMP), 1 - _CLAMP)
    wanted = min(max(target, _CLAMP), 1 - _CLAMP)
    needed = log(wanted / (1 - wanted)) - log(clipped / (1 - clipped))
    right, wrong = (_tail((needed - sign * sharpness**2 / 2) / sharpness) for sign in (1, -1))
    return chance * right + (1 - chance) * wrong


def _tail(z: float) -> float:
    return erfc(z / sqrt(2)) / 2


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + exp(-max(log_odds, -700.0)))


_HALF = (0.16789, 0.34069, 0.52440, 0.72791, 0.96742, 1.28155, 1.83391)
_NORMAL = (*(-z for z in reversed(_HALF)), 0.0, *_HALF)
