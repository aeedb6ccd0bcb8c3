"""How hard a question is, from its text alone: a prior over p learned from other questions whose samples were checked.

A forest of extremely randomised trees groups questions by difficulty; the solved questions that share leaves with a new
one, weighted by how often they do, are what its p may be (Meinshausen 2006, quantile regression forests). Counts are
never taken for p: k right of n leaves a posterior over p under the training questions' own distribution (empirical
Bayes, its prior by expectation maximisation), so that 0 of 1000 is "hardly ever", and 0 of 10 is "perhaps a quarter".

`python -m bench.allocation.difficulty` prints what that is worth on the verified puzzles in shared/pools.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.recording import Problem
from adaptive_middleware.types import Belief
from bench.allocation.crossfit import folds as dealt
from bench.allocation.curve import Floats
from bench.allocation.difficulty_features import features, text_of
from bench.allocation.recordings import Source, given, load, standard
from bench.allocation.verified import right_of

GRID: Floats = np.concatenate([np.geomspace(1e-5, 0.1, 41), np.linspace(0.1, 0.99, 28)[1:]])
_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Forest:
    """The settings: a regression forest's defaults (five questions a leaf, a third of the features a split).

    `topics` is the number of directions kept of the character n-grams; `doubt` the weight of the prior that knows
    nothing of the question, so that no belief rules anything out; `code` says whether the structure of code is read.
    None of them was tuned (docs/design/0003).
    """

    trees: int = 200
    leaf: int = 5
    share: float = 1 / 3
    topics: int = 30
    doubt: float = 0.05
    code: bool = True


FOREST = Forest()


def predict(problems: Sequence[Problem], seed: int = 0, folds: int = 10) -> dict[str, Belief]:
    """Problem id -> belief over p before any sample, fitted on the other folds' problems only.

    With fewer problems than folds each is a fold of its own. Raises as `crossfitted` does.
    """
    return crossfitted(problems, dealt([problem.id for problem in problems], seed, max(folds, 1)), seed)


def crossfitted(
    problems: Sequence[Problem], fold_of: NDArray[np.intp], seed: int = 0, forest: Forest = FOREST
) -> dict[str, Belief]:
    """As `predict`, with the fold of each problem given.

    Raises `CalibrationError` when there are fewer than two folds: nothing is left to learn from.
    """
    dealt_folds = np.unique(fold_of)
    if len(dealt_folds) < 2:
        message = (
            f"{len(dealt_folds)} folds of {len(problems)} problems: at least 2 are needed, to learn from the others; "
            "record more problems, or use a prior that knows nothing of the question"
        )
        raise CalibrationError(message)
    texts = [text_of(problem) for problem in problems]
    likelihood = likelihoods(problems)
    weights = np.empty_like(likelihood)
    for fold in dealt_folds:
        seen, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        known, asked = _matrices([texts[i] for i in seen], [texts[i] for i in held], seed, forest)
        weights[held] = _mixed(known, asked, likelihood[seen], seed, forest)
    support = tuple(GRID.tolist())
    return {
        problem.id: Belief(support, tuple((row / row.sum()).tolist()))
        for problem, row in zip(problems, weights, strict=True)
    }


def likelihoods(problems: Sequence[Problem]) -> Floats:
    """(problems, grid): the chance of a problem's counts for each p of `GRID`, by the binomial distribution."""
    right, total = np.asarray([right_of(problem) for problem in problems]).T
    found: Floats = np.asarray(binom.pmf(right[:, None], total[:, None], GRID[None, :]), dtype=np.float64)
    return found


def population(likelihood: Floats) -> Floats:
    """The distribution of p over problems that makes their counts most likely, by expectation maximisation.

    Kiefer and Wolfowitz's estimate on a grid (1956), stopped early: it starts from equal weights and takes 100 rounds.

    >>> prior = population(np.asarray(binom.pmf([[0], [5], [10]], 10, GRID)))
    >>> round(float(prior @ GRID), 2)
    0.5
    """
    prior = np.full(likelihood.shape[1], 1 / likelihood.shape[1])
    for _ in range(_ROUNDS):
        prior = posteriors(likelihood, prior).mean(axis=0)
    return prior


def posteriors(likelihood: Floats, prior: Floats) -> Floats:
    """Bayes' rule, row by row."""
    joint = likelihood * prior
    found: Floats = joint / joint.sum(axis=1, keepdims=True)
    return found


def _matrices(seen: list[str], held: list[str], seed: int, forest: Forest) -> tuple[Floats, Floats]:
    """(texts, features) of both: named numbers that enough seen texts have, and where the text lies among them."""
    named = DictVectorizer(sparse=False)
    known = named.fit_transform([features(text, code=forest.code) for text in seen])
    asked = named.transform([features(text, code=forest.code) for text in held])
    common = (known != 0).sum(axis=0) >= forest.leaf  # rarer ones cannot fill a leaf
    topics = _topics(seen, held, seed, forest.topics)
    # numbers of all sizes: thresholds are drawn uniformly between the least and the largest
    scaled = (np.log1p(matrix[:, common]) for matrix in (known, asked))
    first, second = (np.hstack(pair) for pair in zip(scaled, topics, strict=True))
    return first, second


def _topics(seen: list[str], held: list[str], seed: int, most: int) -> tuple[Floats, Floats]:
    if not most or not any(text.strip() for text in seen):
        return np.empty((len(seen), 0)), np.empty((len(held), 0))
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    known = grams.fit_transform(seen)
    _, _, directions = randomized_svd(known, min(most, *known.shape), n_iter=5, random_state=seed)
    # rounded: the last bits depend on the number of threads, and a threshold could fall between them
    return (known @ directions.T).round(6), (grams.transform(held) @ directions.T).round(6)


def _mixed(known: Floats, asked: Floats, likelihood: Floats, seed: int, forest: Forest) -> Floats:
    prior = population(likelihood)
    outcomes = posteriors(likelihood, prior)
    if not known.shape[1]:
        return np.tile(prior, (len(asked), 1))
    trees = ExtraTreesRegressor(
        forest.trees, min_samples_leaf=forest.leaf, max_features=forest.share, random_state=seed
    )
    trees.fit(known, outcomes @ np.log(GRID / (1 - GRID)))
    shared = neighbours(trees.apply(known), trees.apply(asked))
    mixed: Floats = (1 - forest.doubt) * (shared @ outcomes) + forest.doubt * prior
    return mixed


def neighbours(known: NDArray[np.intp], asked: NDArray[np.intp]) -> Floats:
    """(asked, known): weights that sum to 1, in each tree equal over the known rows in the asked row's leaf.

    Both hold (rows, trees) leaf numbers.

    >>> neighbours(np.array([[1, 4], [1, 5], [2, 5]]), np.array([[1, 5]])).tolist()
    [[0.25, 0.5, 0.25]]
    """
    weights = np.zeros((len(asked), len(known)))
    for tree in range(known.shape[1]):
        same = asked[:, tree, None] == known[None, :, tree]
        weights += same / same.sum(axis=1, keepdims=True)
    found: Floats = weights / known.shape[1]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report of a recording, by default of the puzzles; an absent one is said so, not an error."""
    from bench.allocation.difficulty_table import lines  # noqa: PLC0415 - it imports this module

    parser = argparse.ArgumentParser(prog="python -m bench.allocation.difficulty", description=main.__doc__)
    parser.add_argument("recording", nargs="?", help="a verified pool, or one whose samples were checked")
    parser.add_argument("--seeds", type=int, default=5, help="how many deals of the folds (default 5)")
    parser.add_argument("--trees", type=int, default=FOREST.trees, help="trees of a forest; fewer are faster")
    options = parser.parse_args(arguments)
    source = _source(options.recording)
    if not source.file.exists():
        sys.stdout.write(f"{source.file} is absent: nothing to measure; set ADAPTIVE_SHARED to its folder\n")
        return 0
    for line in lines(load(source), range(options.seeds), replace(FOREST, trees=options.trees)):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return 0


def _source(recording: str | None) -> Source:
    found = {source.name: source for source in standard()}
    if recording is None:
        return found["p3_codex_med_397"]
    return found.get(recording) or given([recording])[0]


if __name__ == "__main__":
    sys.exit(main())
