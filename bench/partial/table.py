"""The rows of the comparison: settings chosen on other problems, intervals by problem, shares of scoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.allocation.crossfit import crossfitted, folds, held_out
from bench.allocation.curve import Floats
from bench.allocation.rows import Resamples, Span
from bench.partial.flops import Cost, Model, scoring_share
from bench.partial.replayed import FIGURES

RIGHT, GENERATED, SCORED, RESCORED = range(len(FIGURES))
_SLACK = 0.005  # half a point


@dataclass(frozen=True, slots=True)
class Beside:
    """What rows are made beside: the reference on the same problems (problems, figures), resamples of these, the two
    models of a call, and the mean tokens of its prompt as the generator reads it.
    """

    reference: Floats
    resamples: Resamples
    generator: Model
    judge: Model
    prompt: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line: means per problem; `against` is the difference of accuracy to the reference, with its interval.

    `share` is scoring's part of all operations with prefixes kept, `same_size` the same for a judge as large as the
    generator, `rescoring` the part when every step is scored from scratch. `time_share` is measured, where it was.
    """

    policy: str
    accuracy: Span
    generated: float
    scored: float
    rescored: float
    share: float
    same_size: float
    rescoring: float
    against: Span
    time_share: float | None = None


def chosen(figures: Floats, reference: Floats, ids: Sequence[str]) -> Floats:
    """What each problem's setting did, chosen on the other folds' problems to keep the reference's accuracy.

    `figures` is (settings, problems, figures), `reference` (problems, figures); half a point below is enough.
    """
    fold_of: NDArray[np.intp] = folds(ids)
    target = reference[:, RIGHT] - _SLACK
    picks = crossfitted(figures[None, :, :, RIGHT], figures[None, :, :, GENERATED], target, fold_of)
    return held_out(figures[None], picks, fold_of)


def row(policy: str, figures: Floats, beside: Beside, time_share: float | None = None) -> Row:
    """The row of what a rule did on each problem, (problems, figures)."""
    means = [float(value) for value in figures.mean(axis=0)]

    def part(scored: float, judge: Model) -> float:
        return scoring_share(Cost(beside.prompt, means[GENERATED], scored), beside.generator, judge)

    return Row(
        policy,
        beside.resamples.span(figures[:, RIGHT]),
        means[GENERATED],
        means[SCORED],
        means[RESCORED],
        part(means[SCORED], beside.judge),
        part(means[SCORED], beside.generator),
        part(means[RESCORED], beside.judge),
        beside.resamples.span(figures[:, RIGHT] - beside.reference[:, RIGHT]),
        time_share,
    )


def at_equal_tokens(tokens: float, curve: Sequence[Row]) -> float:
    """The accuracy of a curve's rows at `tokens` generated tokens, straight between the rows and flat beyond them."""
    ordered = sorted(curve, key=lambda one: one.generated)
    return float(
        np.interp(tokens, [one.generated for one in ordered], [one.accuracy.value for one in ordered])
    )


def as_json(one: Row) -> dict[str, object]:
    """The row as `--json` prints it."""
    return {
        "policy": one.policy,
        "accuracy": round(one.accuracy.value, 4),
        "accuracy_ci95": [round(one.accuracy.low, 4), round(one.accuracy.high, 4)],
        "against_fixed_16": [
            round(value, 4) for value in (one.against.value, one.against.low, one.against.high)
        ],
        "generated_tokens": round(one.generated, 1),
        "prm_tokens": round(one.scored, 1),
        "prm_tokens_rescoring": round(one.rescored, 1),
        "prm_flop_share": round(one.share, 4),
        "prm_flop_share_same_size": round(one.same_size, 4),
        "prm_flop_share_rescoring": round(one.rescoring, 4),
        "prm_time_share": None if one.time_share is None else round(one.time_share, 4),
    }


def lines(rows: Sequence[Row], percent: Callable[[float], str] = lambda value: f"{value:.1%}") -> list[str]:
    """The rows as a Markdown table."""
    head = (
        "| policy | accuracy | against fixed 16, points | generated tokens | of fixed 16 | PRM tokens | rescoring | "
        "PRM share of FLOPs | same-size PRM | rescoring | PRM share of time |"
    )
    reference = next(one for one in rows if one.policy == "fixed 16")
    found = [head, "|---" * 11 + "|"]
    for one in rows:
        cells = (
            one.policy,
            f"{percent(one.accuracy.value)} ({percent(one.accuracy.low)} - {percent(one.accuracy.high)})",
            " to ".join(f"{100 * end:+.1f}" for end in (one.against.low, one.against.high)),
            f"{one.generated:.0f}",
            f"{one.generated / reference.generated:.0%}",
            f"{one.scored:.0f}",
            f"{one.rescored:.0f}",
            percent(one.share),
            percent(one.same_size),
            percent(one.rescoring),
            "" if one.time_share is None else percent(one.time_share),
        )
        found.append("| " + " | ".join(cells) + " |")
    return found
