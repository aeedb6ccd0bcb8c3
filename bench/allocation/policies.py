"""The table of rules: what each reads, how it selects, and the settings it is tried with. One rule, one entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from adaptive_middleware.cli.replay_rows import Reel
from adaptive_middleware.policy import (
    agreement,
    early_stopping,
    instance_adaptive,
    optimal_stopping,
    score_distribution,
    weighted_agreement,
    worth_finishing,
)
from adaptive_middleware.ports import Keep, Policy
from adaptive_middleware.strategies.select import Selection, calibrated_argmax, calibrated_vote, majority_vote
from bench.allocation.views import View


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule is set up for: the reference's N, the most samples there are, and problems to learn from.

    `tokens` is the mean length of an answer, a unit for prices; `training` is empty for rules that learn nothing.
    """

    reference: int
    limit: int
    training: Sequence[Reel] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """A policy with its knobs set, drawing at most `cap` samples; `shown` gives it a row of its own.

    With `keep`, answers are read step by step, and dropped when it says so.
    """

    label: str
    policy: Policy
    cap: int
    shown: bool = False
    keep: Keep | None = None


@dataclass(frozen=True, slots=True)
class Play:
    """How a rule plays: its selection, and its settings. Labels are the same whatever it learned from."""

    select: Selection
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the view it reads, and how it plays under given terms.

    A rule that `learns` is set up once per fold, with the other folds' problems as `terms.training`.
    `asks` says that it needs a score of the question alone, `steps` that it needs scores of single steps.
    """

    name: str
    view: View
    play: Callable[[Terms], Play]
    learns: bool = False
    asks: bool = False
    steps: bool = False


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


def _windows(terms: Terms) -> Play:
    return Play(
        majority_vote,
        tuple(
            Setting(f"window {window}, cap {cap}", early_stopping(window), cap, window in (3, 5) and first)
            for (first, cap), window in product(_caps(terms), (2, 3, 4, 5, 6, 8, 10))
            if window < cap
        ),
    )


def _scores_alone(terms: Terms) -> Play:
    """OptScale: target scores and confidences, by maximum likelihood; few, because every draw fits anew."""
    grid = ((0.6, 0.8), (0.8, 0.8), (0.8, 0.95), (0.9, 0.95), (0.95, 0.95), (0.95, 0.99))
    return Play(
        calibrated_argmax,
        tuple(
            Setting(
                f"target {target:g}, confidence {level:g}, cap {cap}",
                score_distribution(target, level),
                cap,
                shown=(target, level) == (0.9, 0.95),
            )
            for target, level in grid
            for cap in (terms.limit if target == 0.95 else terms.reference,)
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


_PRICES = (0.003, 0.01, 0.02, 0.03, 0.045, 0.07, 0.1)
_TURNS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.09)
_STEEP = (0.03, 0.04, 0.05, 0.055, 0.06, 0.065, 0.07, 0.08, 0.1)


def _stopping(select: Selection) -> Callable[[Terms], Play]:
    """Optimal stopping over prices of an answer of mean length; a sharpness is an AUROC within problems.

    1 stands for .76, 2 for .92, 3 for .98.
    """

    def play(terms: Terms) -> Play:
        grid = product(_caps(terms), (1.0, 2.0, 3.0), _PRICES)
        return Play(
            select,
            tuple(
                Setting(
                    f"price {price:g}, sharpness {sharpness:g}, cap {cap}",
                    optimal_stopping(0.97, price, 1, sharpness, terms.tokens),
                    cap,
                    (price, sharpness) == (0.02, 2.0) and first,
                )
                for (first, cap), sharpness, price in grid
            ),
        )

    return play


def _weighing(select: Selection) -> Callable[[Terms], Play]:
    """Weighted agreement over prices, of a sample and of an answer of mean length."""

    def play(terms: Terms) -> Play:
        grid = product(_caps(terms), (0, terms.tokens), _TURNS)
        return Play(
            select,
            tuple(
                Setting(
                    f"price {price:g} a {'mean length' if tokens else 'sample'}, cap {cap}",
                    weighted_agreement(price, per_tokens=tokens),
                    cap,
                    price == 0.02 and not tokens and first,
                )
                for (first, cap), tokens, price in grid
            ),
        )

    return play


def _pruning(terms: Terms) -> Play:
    """Optimal stopping on open answers, with the same price for finishing one (`worth_finishing`)."""
    cap = max(terms.reference, terms.limit)
    return Play(
        calibrated_argmax,
        tuple(
            Setting(
                f"price {price:g}, impatience {impatience:g}, cap {cap}",
                optimal_stopping(0.97, price, 1, 1.6, terms.tokens),
                cap,
                (price, impatience) == (0.07, 2.0),
                worth_finishing(price, terms.tokens, 2.0, impatience),
            )
            for impatience, price in product((2.0, 3.0), _STEEP)
        ),
    )


def _unscored(terms: Terms) -> Play:
    """Optimal stopping without any signal: of its knobs only the target is left."""
    return Play(
        majority_vote,
        tuple(
            Setting(f"target {target:g}, cap {cap}", optimal_stopping(target), cap, target == 0.95 and first)
            for (first, cap), target in product(_caps(terms), (0.7, 0.8, 0.9, 0.95, 0.99))
        ),
    )


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
    Rule("ESC", View.votes, _windows),
    Rule("IAS, raw score", View.raw, _instance_adaptive, asks=True),
    Rule("IAS, calibrated score", View.both, _instance_adaptive, asks=True),
    Rule("OptScale-style, raw score", View.raw, _scores_alone),
    Rule("OptScale-style, calibrated score", View.scores, _scores_alone),
    Rule("optimal stopping, PRM and log-probabilities, argmax", View.both, _stopping(calibrated_argmax)),
    Rule("optimal stopping, PRM and log-probabilities, weighted vote", View.both, _stopping(calibrated_vote)),
    Rule("weighted agreement, PRM and log-probabilities", View.both, _weighing(calibrated_vote)),
    Rule("optimal stopping with pruning, argmax", View.both, _pruning, steps=True),
    Rule("optimal stopping, PRM only, argmax", View.scores, _stopping(calibrated_argmax)),
    Rule("optimal stopping, PRM only, weighted vote", View.scores, _stopping(calibrated_vote)),
    Rule("optimal stopping, log-probabilities only, argmax", View.logprobs, _stopping(calibrated_argmax)),
    Rule("weighted agreement, PRM only", View.scores, _weighing(calibrated_vote)),
    Rule("weighted agreement, neither", View.votes, _weighing(majority_vote)),
    Rule("optimal stopping, neither", View.votes, _unscored),
    Rule("oracle: stops at the first right answer", View.oracle, _perfect),
)
"""Every rule of the leaderboard without a verifier, in the order of its rows; the oracle is a bound, not a rule."""
