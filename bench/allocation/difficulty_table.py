"""What a question's predicted difficulty saves on a verified pool, beside rules that know less and rules that know more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.stats import binom
from sklearn.feature_extraction.text import TfidfVectorizer

from adaptive_middleware import belief as beliefs
from adaptive_middleware.recording import Problem
from adaptive_middleware.types import Belief
from bench.allocation import verified
from bench.allocation.crossfit import folds
from bench.allocation.curve import Floats, costs_at
from bench.allocation.difficulty import FOREST, Forest, crossfitted
from bench.allocation.difficulty_features import text_of
from bench.allocation.recordings import Pool
from bench.allocation.verified import Tries

ALIKE = (0.5, 0.3)
RESAMPLES = 1000
_LEAST, _TINY = 1e-5, 1e-300
Priors = Mapping[str, Belief]


@dataclass(frozen=True, slots=True)
class Saving:
    """What a rule needs for a coverage, against one cap for all with stopping at the first success.

    `samples` is its mean draw at `coverage`, the aim or the most that the rule reaches; `share` is that over what the
    cap needs for the same. `ends` are the 95 % ends of the share over resamples of the problems.
    """

    coverage: float
    samples: float
    share: float
    ends: tuple[float, float]


def saving(pool: Pool, rule: Tries, aim: float, seed: int = 0) -> Saving:
    """A rule at the coverage `aim`, interpolated between its settings; resamples are paired with the cap's."""
    found, capped = verified.figures(pool, rule), verified.figures(pool, verified.uniform(pool, stops=True))
    count = len(pool.problems)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    weights = np.vstack([np.ones(count), drawn]) / count
    # the aim of each resample is what the cap that covers the aim on all problems covers on it
    cap = int(np.argmax(capped[:, :, 0].mean(axis=1) >= aim - 1e-9))
    aims = np.minimum(weights @ capped[cap, :, 0], (weights @ found[:, :, 0].T).max(axis=1))
    samples = samples_at(found, weights, aims)
    shares = samples / samples_at(capped, weights, aims)
    low, high = np.quantile(shares[1:], (0.025, 0.975))
    return Saving(float(aims[0]), float(samples[0]), float(shares[0]), (float(low), float(high)))


def samples_at(found: Floats, weights: Floats, aims: Floats) -> Floats:
    """Mean samples at which a rule's settings cover `aims`, for each row of `weights` over the problems."""
    coverage, samples = weights @ found[:, :, 0].T, weights @ found[:, :, 1].T
    order = np.argsort(coverage, axis=1, kind="stable")
    return costs_at(
        np.take_along_axis(coverage, order, axis=1), np.take_along_axis(samples, order, axis=1), aims
    )


def likelihood(problems: Sequence[Problem], priors: Priors) -> float:
    """Mean log likelihood of the held-out counts under the priors: a proper score, higher is better."""
    total = 0.0
    for problem in problems:
        right, count = verified.right_of(problem)
        belief = priors[problem.id]
        chances = binom.pmf(right, count, np.asarray(belief.support))
        total += float(np.log(max(float(chances @ np.asarray(belief.weights)), _TINY)))
    return total / len(problems)


def families(problems: Sequence[Problem], alike: float) -> NDArray[np.intp]:
    """Family of each problem: texts whose character n-grams have a cosine above `alike`, and all they chain to."""
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    vectors = grams.fit_transform([text_of(problem) for problem in problems])
    labels: NDArray[np.intp] = connected_components((vectors @ vectors.T) > alike)[1]
    return labels


def lines(pool: Pool, seeds: Sequence[int], forest: Forest = FOREST) -> Iterator[str]:
    """The report, a line at a time: rules, then coverage by price, then other settings of the forest.

    The aim of every rule is the coverage of the pool's reference cap with stopping at the first success.
    """
    capped = verified.uniform(pool, stops=True)
    aim = float(verified.figures(pool, capped).mean(axis=1)[pool.reference - 1, 0])
    yield (
        f"{pool.source.name}: {len(pool.problems)} questions, cap {pool.reference} covers {aim:.4f}; "
        f"{len(seeds)} seeds; shares are of the one cap's samples at the same coverage"
    )
    yield from ("", *_head("rule"), _line("one cap, stop at success", [saving(pool, capped, aim)]))
    yield _line("one cap, all drawn", [saving(pool, verified.uniform(pool, stops=False), aim)])
    unknowing = {problem.id: beliefs.uniform() for problem in pool.problems}
    yield _line("give up, belief starts uniform", [saving(pool, verified.give_up(pool, unknowing), aim)])
    blind = [verified.population(pool, seed) for seed in seeds]
    yield _row("give up, no predictor", pool, blind, aim)
    chosen = [_priors(pool, seed, forest) for seed in seeds]
    yield _row("give up, predictor", pool, chosen, aim)
    yield from _apart(pool, seeds, aim, forest)
    ias = [saving(pool, verified.instance_adaptive(pool, priors, None), aim) for priors in chosen]
    yield _line("IAS with the predicted p, stop at success", ias)
    yield from oracles(pool, aim)
    yield ""
    yield from curves(pool, {"no predictor": blind[0], "predictor": chosen[0]})
    yield ""
    yield from variants(pool, seeds[:2], aim, forest)


def oracles(pool: Pool, aim: float) -> Iterator[str]:
    """Rules that know the true p, which no predictor does."""
    rates = {problem.id: verified.right_of(problem) for problem in pool.problems}
    points = {name: _point(right / total) for name, (right, total) in rates.items()}
    rules = {
        "oracle: p = 0 is never tried": verified.never_hopeless(pool),
        "oracle: greedy with the true p, stop": verified.greedy(pool, stops=True),
        "oracle: give up with the true p": verified.give_up(pool, points),
    }
    for name, rule in rules.items():
        yield _line(name, [saving(pool, rule, aim)])


def curves(pool: Pool, priors: Mapping[str, Priors]) -> Iterator[str]:
    """Coverage and samples at the named prices."""
    yield "| price | " + " | ".join(priors) + " |"
    yield "|---" * (len(priors) + 1) + "|"
    rules = [verified.give_up(pool, one) for one in priors.values()]
    means = [verified.figures(pool, rule).mean(axis=1) for rule in rules]
    for index in reversed(range(len(rules[0].labels))):
        label = rules[0].labels[index]
        if label in rules[0].shown:
            cells = (f"{one[index, 0]:.3f} @ {one[index, 1]:.1f}" for one in means)
            yield f"| {label.removeprefix('price ')} | " + " | ".join(cells) + " |"


def variants(pool: Pool, seeds: Sequence[int], aim: float, forest: Forest) -> Iterator[str]:
    """The forest with one setting changed at a time: how much the choice of settings matters."""
    yield from _head("forest")
    changed = {
        "leaf 3": replace(forest, leaf=3),
        "leaf 10": replace(forest, leaf=10),
        "every feature at a split": replace(forest, share=1.0),
        "doubt 0": replace(forest, doubt=0.0),
        "doubt 0.2": replace(forest, doubt=0.2),
        "no n-grams": replace(forest, topics=0),
        "code not read": replace(forest, code=False),
    }
    for name, other in changed.items():
        yield _row(name, pool, [_priors(pool, seed, other) for seed in seeds], aim)


def _apart(pool: Pool, seeds: Sequence[int], aim: float, forest: Forest) -> Iterator[str]:
    """The predictor when questions that look alike are never on both sides of a split."""
    for alike in ALIKE:
        family = [str(label) for label in families(pool.problems, alike)]
        name = f"the same, {len(set(family))} families of cosine > {alike} undivided"
        if len(set(family)) > 1:
            deals = [(seed, folds(family, seed)) for seed in seeds]
            yield _row(
                name, pool, [crossfitted(pool.problems, deal, seed, forest) for seed, deal in deals], aim
            )


def _priors(pool: Pool, seed: int, forest: Forest) -> Priors:
    return crossfitted(pool.problems, folds([one.id for one in pool.problems], seed), seed, forest)


def _head(name: str) -> tuple[str, str]:
    return (
        f"| {name} | coverage | samples | share | 95 % | over seeds | log likelihood |",
        "|---|---|---|---|---|---|---|",
    )


def _row(name: str, pool: Pool, priors: Sequence[Priors], aim: float) -> str:
    found = [saving(pool, verified.give_up(pool, one), aim) for one in priors]
    return _line(name, found, float(np.mean([likelihood(pool.problems, one) for one in priors])))


def _line(name: str, found: Sequence[Saving], score: float | None = None) -> str:
    coverage, samples, share = np.mean([(one.coverage, one.samples, one.share) for one in found], axis=0)
    low, high = np.mean([one.ends for one in found], axis=0)
    least, most = (pick(one.share for one in found) for pick in (min, max))
    spread = f"{least:.1%} to {most:.1%}" if len(found) > 1 else ""
    cells = (
        name,
        f"{coverage:.4f}",
        f"{samples:.1f}",
        f"{share:.1%}",
        f"{low:.0%} to {high:.0%}",
        spread,
        "" if score is None else f"{score:.3f}",
    )
    return "| " + " | ".join(cells) + " |"


def _point(chance: float) -> Belief:
    return Belief((min(max(chance, _LEAST), 1 - _LEAST),), (1.0,))
