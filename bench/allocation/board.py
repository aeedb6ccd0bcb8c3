"""From what was measured to a recording's part of the board: fixed rows, named settings, and rows matched to a reference.

A matched row answers the question that matters: what does this rule cost when it has to be as accurate as the reference?
Its setting is chosen by `crossfit`, never on the problems it is judged on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.allocation.crossfit import crossfitted, folds, held_out
from bench.allocation.curve import Floats
from bench.allocation.rows import RIGHT, Pair, Resamples, Row, resamples

FIXED, SETTING, ANY = "fixed N", "named settings", "any rule"


@dataclass(frozen=True, slots=True)
class Contender:
    """A rule ready to be judged: settings with figures (fits, settings, problems, 5), and its fixed-N curve.

    `shown` are the labels of settings that get a row. A bound knows what no rule can know.
    """

    name: str
    labels: tuple[str, ...]
    shown: frozenset[str]
    figures: Floats
    curve: Floats
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """What rules are matched to: fixed `n`, and the curve (problems, N, 5) that it is a point of."""

    name: str
    curve: Floats
    n: int

    @property
    def figures(self) -> Floats:
        """What it did on each problem: (problems, 5)."""
        return self.curve[:, self.n - 1]


@dataclass(frozen=True, slots=True)
class Match:
    """The rows that were matched to one reference, and the reference's own."""

    reference: Row
    rows: tuple[Row, ...]
    bounds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One recording's part of the board; `unit` is what shares are shares of."""

    name: str
    about: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    matches: tuple[Match, ...] = ()
    unit: str = "tokens"


def fixed_contender(name: str, curve: Floats, shown: Sequence[int]) -> Contender:
    """Fixed N as a rule whose knob is N: its figures are its curve, (problems, N, 5)."""
    labels = tuple(f"N = {n}" for n in range(1, curve.shape[1] + 1))
    named = frozenset(f"N = {n}" for n in shown)
    return Contender(f"fixed N, {name}", labels, named, np.swapaxes(curve, 0, 1)[None], curve)


def any_rule(contenders: Sequence[Contender], curve: Floats) -> Contender:
    """All rules as one whose knob is which of them, and its setting: what a user gains who chooses on other problems."""
    own = [one for one in contenders if not one.bound]
    fits = max(len(one.figures) for one in own)
    each = [np.broadcast_to(one.figures, (fits, *one.figures.shape[1:])) for one in own]
    labels = tuple(f"{one.name}; {label}" for one in own for label in one.labels)
    return Contender(ANY, labels, frozenset(), np.concatenate(each, axis=1), curve)


def powers_of_two(most: int) -> tuple[int, ...]:
    """1, 2, 4, .. up to `most`, and `most` itself.

    >>> powers_of_two(24)
    (1, 2, 4, 8, 16, 24)
    """
    return tuple(sorted({*(1 << power for power in range(most.bit_length())), most}))


@dataclass(frozen=True, slots=True)
class Judge:
    """How rows of one recording are made: the unit of cost, the folds of the problems, and their resamples."""

    unit: int
    fold_of: NDArray[np.intp]
    by: Resamples

    def named(self, one: Contender) -> Iterator[Row]:
        """Rows of the shown settings: on each problem what a rule did that learned without that problem's fold."""
        group = FIXED if one.name.startswith(FIXED) else SETTING
        for index, label in enumerate(one.labels):
            if label in one.shown:
                same = np.full(int(self.fold_of.max()) + 1, index, dtype=np.intp)
                figures = held_out(one.figures, same, self.fold_of)
                yield self.by.row(f"{one.name}; {label}", group, Pair(figures, one.curve), self.unit)

    def match(self, reference: Reference, contenders: Sequence[Contender]) -> Match:
        """The reference's row, and one row a rule, its setting chosen without the problem it is judged on."""
        group = f"chosen to match {reference.name}"
        own = Pair(reference.figures, reference.curve)
        judged = [*contenders, any_rule(contenders, reference.curve)]
        names = [f"{one.name}; {group}" for one in judged]
        rows = [
            self.by.row(
                name, group, Pair(self._chosen(one, reference), one.curve), self.unit, reference.figures
            )
            for name, one in zip(names, judged, strict=True)
        ]
        bounds = frozenset(name for name, one in zip(names, judged, strict=True) if one.bound)
        return Match(
            self.by.row(reference.name, group, own, self.unit, reference.figures), tuple(rows), bounds
        )

    def _chosen(self, one: Contender, reference: Reference) -> Floats:
        accuracy, cost = one.figures[..., RIGHT], one.figures[..., self.unit]
        chosen = crossfitted(accuracy, cost, reference.figures[:, RIGHT], self.fold_of)
        return held_out(one.figures, chosen, self.fold_of)


def judged(
    ids: Sequence[str], contenders: Sequence[Contender], references: Sequence[Reference], unit: int, seed: int
) -> tuple[tuple[Row, ...], tuple[Match, ...]]:
    """Rows of named settings, and a match for each reference; matching needs at least two problems."""
    judge = Judge(unit, folds(ids, seed), resamples(len(ids), seed))
    rows = tuple(found for one in contenders for found in judge.named(one))
    return rows, tuple(judge.match(one, contenders) for one in references) if len(ids) > 1 else ()
