"""Choices that calibrated probabilities can make: the right one of several answers, or a route by the chance of success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.errors import NotAnswerable
from adaptive_middleware.types import Estimate, Path
from langchain_adaptive.judged import Judged, text_path

_CLAMP = 1e-9
_FORMS = (
    "a process reward model chooses between answers, each written {'answer': text} (and at most one label None: none of them is right), "
    "or between routes, each written {'at_least': chance of success}"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen label, the distribution over labels (sums to 1), and how sure the choice is, in [0, 1]."""

    label: str
    probabilities: Mapping[str, float]
    confidence: float


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of which at most one is right; `neither` is the label for none, where there is one."""

    texts: Mapping[str, str]
    neither: str | None = None

    def paths(self, judged: Judged) -> tuple[Path, ...]:
        """The answers as they are scored; raises `NotAnswerable` where the state has an answer of its own."""
        if judged.answer is not None:
            message = "the state ends with an answer, but a choice between answers has them in its criteria: leave it out"
            raise NotAnswerable(message)
        return tuple(map(text_path, self.texts.values()))

    def choose(self, estimates: Sequence[Estimate]) -> Chosen:
        """The likeliest label, given that exactly one answer is right (or none, with `neither`).

        Each answer alone is right with its calibrated p. Independent otherwise, exactly the i-th is right with a chance
        in proportion to p_i / (1 - p_i), and none with 1. The confidence in an answer is its own p, whatever the others.
        """
        alone = dict(zip(self.texts, (estimate.mean for estimate in estimates), strict=True))
        odds = {label: _odds(p) for label, p in alone.items()}
        if self.neither is not None:
            odds[self.neither] = 1.0
        total = sum(odds.values())
        probabilities = {label: value / total for label, value in odds.items()}
        label = max(probabilities, key=probabilities.__getitem__)
        none_right = prod(1 - p for p in alone.values())
        return Chosen(label, probabilities, alone.get(label, none_right))


@dataclass(frozen=True, slots=True)
class Routes:
    """Routes by the chance of success that each needs at least, in [0, 1]; one of them takes all the rest with 0."""

    least: Mapping[str, float]

    def paths(self, judged: Judged) -> tuple[Path, ...]:
        """The question alone, or the answer that the state ends with."""
        return (judged.path,)

    def choose(self, estimates: Sequence[Estimate]) -> Chosen:
        """The route with the highest need that the mean reaches.

        The probability of a route is the mass that the calibrated quantiles give to its band, linear between them.
        """
        (estimate,) = estimates
        routes = sorted(self.least.items(), key=lambda route: route[1], reverse=True)
        label = next(name for name, need in routes if need <= estimate.mean)
        above = [0.0, *(reaches(estimate, need) for _, need in routes)]
        masses = {name: more - less for (name, _), (less, more) in zip(routes, pairwise(above), strict=True)}
        return Chosen(label, {name: masses[name] for name in self.least}, masses[label])


def reaches(estimate: Estimate, chance: float) -> float:
    """The probability that the chance of success is at least `chance`, linear between the quantiles of the estimate.

    >>> halves = Estimate(0.5, 0.2, 0.8, ((0.1, 0.2), (0.5, 0.5), (0.9, 0.8)))
    >>> reaches(halves, 0.5), round(reaches(halves, 0.65), 9), reaches(halves, 0.0)
    (0.5, 0.3, 1.0)
    """
    if chance <= 0:
        return 1.0
    quantiles = estimate.quantiles or ((0.1, estimate.lower), (0.9, estimate.upper))
    points = [(0.0, 0.0), *((value, level) for level, value in quantiles), (1.0, 1.0)]
    below = next(_share(low, high, chance) for low, high in pairwise(points) if low[0] < chance <= high[0])
    return 1 - below


def read_criteria(criteria: Mapping[str, object]) -> Answers | Routes:
    """What the labels of a choice stand for. Raises `NotAnswerable` for anything that is neither answers nor routes."""
    texts = {name: text for name, one in criteria.items() if isinstance(text := _only(one, "answer"), str)}
    if (
        texts
        and len(texts) + sum(one is None for one in criteria.values()) == len(criteria) <= len(texts) + 1
    ):
        return _answers(texts, next((label for label, one in criteria.items() if one is None), None))
    needs = {name: _only(one, "at_least") for name, one in criteria.items()}
    least = {name: float(need) for name, need in needs.items() if isinstance(need, int | float)}
    if len(least) == len(criteria):
        return _routes(least)
    message = f"the criteria are {dict(criteria)!r}: {_FORMS}"
    raise NotAnswerable(message)


def _answers(texts: Mapping[str, str], neither: str | None) -> Answers:
    empty = [label for label, text in texts.items() if not text.strip()]
    if empty:
        message = f"the answer {empty[0]!r} has no text, so there is nothing to judge: leave it out, or write its text"
        raise NotAnswerable(message)
    said: dict[str, str] = {}
    for label, text in texts.items():
        other = said.setdefault(canonical_answer(text_path(text)) or text.strip(), label)
        if other != label:
            message = f"{other!r} and {label!r} are the same answer, and only one may be right: give each answer once"
            raise NotAnswerable(message)
    return Answers(texts, neither)


def _routes(least: Mapping[str, float]) -> Routes:
    needs = list(least.values())
    if not all(0 <= need <= 1 for need in needs) or 0 not in needs or len(set(needs)) < len(needs):
        message = f"the routes need {dict(least)}: chances in [0, 1], no two alike, and one of them 0, which takes the rest"
        raise NotAnswerable(message)
    return Routes(least)


def _only(one: object, key: str) -> object:
    """What a mapping has under its only key; None for anything else."""
    return one[key] if isinstance(one, Mapping) and list(one) == [key] else None


def _odds(p: float) -> float:
    inside = min(max(p, _CLAMP), 1 - _CLAMP)
    return inside / (1 - inside)


def _share(low: tuple[float, float], high: tuple[float, float], value: float) -> float:
    return low[1] + (high[1] - low[1]) * (value - low[0]) / (high[0] - low[0])
