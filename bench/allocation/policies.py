"""The table of rules: what each reads, how it selects, and the settings it is tried with. One rule, one entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from adaptive_middleware.cli.replay_rows import Reel
from adaptive_middleware.policy import agreement, instance_adaptive, optimal_stopping
from adaptive_middleware.ports import Policy
from adaptive_middleware.strategies.select import Selection, calibrated_argmax, calibrated_vote, majority_vote
from bench.allocation.views import View


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule is set up for: the reference's N, the most samples there are, and problems to learn from.

    `training` is empty for rules that learn nothing.
    """

    reference: int
    limit: int
    training: Sequence[Reel] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """A policy with its knobs set, drawing at most `cap` samples; `shown` gives it a row of its own."""

    label: str
    policy: Policy
    cap: int
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Play:
    """How a rule plays: its selection, and its settings. Labels are the same whatever it learned from."""

    select: Selection
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the view it reads, and how it plays under given terms.

    A rule that `learns` is set up once per fold, with the other folds' problems as `terms.training`.
    `asks` says that it needs a score of the question alone.
    """

    name: str
    view: View
    play: Callable[[Terms], Play]
    learns: bool = False
    asks: bool = False


def _beta(terms: Terms) -> Play:
    levels = (0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 0.999)
    named = (0.8, 0.9, 0.95, 0.99)
    return Play(
        majority_vote,
        tuple(
            Setting(f"confidence {level:g}, cap {cap}", agreement(level), cap, level in named and first)
            for (first, cap), level in product(_caps(terms), levels)
        ),
    )


def _instance_adaptive(terms: Terms) -> Play:
    levels = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
    return Play(
        calibrated_argmax,
        tuple(
            Setting(f"C = {level:g}, cap {cap}", instance_adaptive(level, cap), cap, level == 0.99 and first)
            for (first, cap), level in product(_caps(terms), levels)
        ),
    )


def _stopping(select: Selection) -> Callable[[Terms], Play]:
    """Optimal stopping over targets and prices; the sharpness stands for an AUROC within problems of .76 or .91."""

    def play(terms: Terms) -> Play:
        grid = product(_caps(terms), (1.0, 1.9), (0.8, 0.95), (0.003, 0.01, 0.02, 0.04))
        return Play(
            select,
            tuple(
                Setting(
                    f"target {target:g}, price {price:g}, sharpness {sharpness:g}, cap {cap}",
                    optimal_stopping(target, price, 1, sharpness),
                    cap,
                    (target, price, sharpness) == (0.95, 0.01, 1.0) and first,
                )
                for (first, cap), sharpness, target, price in grid
            ),
        )

    return play


def _perfect(terms: Terms) -> Play:
    return Play(
        calibrated_argmax,
        tuple(
            Setting(f"cap {cap}", optimal_stopping(0.999, 0.0), cap, shown=first)
            for first, cap in _caps(terms)
        ),
    )


def _caps(terms: Terms) -> tuple[tuple[bool, int], ...]:
    """The reference's N, named first, and all samples there are."""
    return ((True, terms.reference), *(((False, terms.limit),) if terms.limit > terms.reference else ()))


RULES: tuple[Rule, ...] = (
    Rule("Beta vote", View.votes, _beta),
    Rule("IAS, raw score", View.raw, _instance_adaptive, asks=True),
    Rule("IAS, calibrated score", View.both, _instance_adaptive, asks=True),
    Rule("optimal stopping, PRM and log-probabilities, argmax", View.both, _stopping(calibrated_argmax)),
    Rule("optimal stopping, PRM and log-probabilities, weighted vote", View.both, _stopping(calibrated_vote)),
    Rule("optimal stopping, PRM only, argmax", View.scores, _stopping(calibrated_argmax)),
    Rule("optimal stopping, PRM only, weighted vote", View.scores, _stopping(calibrated_vote)),
    Rule("optimal stopping, log-probabilities only, argmax", View.logprobs, _stopping(calibrated_argmax)),
    Rule("optimal stopping, neither", View.votes, _stopping(majority_vote)),
    Rule("oracle: stops at the first right answer", View.oracle, _perfect),
)
"""Every rule of the leaderboard without a verifier, in the order of its rows; the oracle is a bound, not a rule."""
