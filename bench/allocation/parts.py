"""A recording's part of the board, from its file: measured under every view, judged, and noted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from adaptive_middleware.types import Belief
from bench.allocation import verified
from bench.allocation.board import Contender, Part, Reference, fixed_contender, judged, powers_of_two
from bench.allocation.curve import Floats
from bench.allocation.measure import Findings
from bench.allocation.policies import RULES
from bench.allocation.recordings import Pool
from bench.allocation.rows import GENERATED, SAMPLES
from bench.allocation.views import View

_LACKS = {
    View.raw: "scores of samples are not recorded: no rows that read a process reward model",
    View.logprobs: "log-probabilities are not recorded: no rows that read them",
}


def replayed_part(pool: Pool, findings: Sequence[Findings], seed: int) -> Part:
    """The part of a pool without a verifier."""
    curves = _curves(findings)
    contenders = [*_fixed(pool, curves), *_rules(findings)]
    references = [
        Reference(f"fixed {pool.reference}, {name}", curves[name], pool.reference)
        for name in ("argmax", "majority")
        if name in curves and (name in pool.source.against or "argmax" not in curves)
    ]
    ids = [problem.id for problem in pool.problems]
    rows, matches = judged(ids, contenders, references, GENERATED, seed)
    notes = tuple(_notes(pool, findings))
    return Part(pool.source.name, pool.source.about, notes, rows, matches)


def _curves(findings: Sequence[Findings]) -> dict[str, Floats]:
    """Fixed-N curves by selection; where nothing but scores is recorded, "PRM only" goes without saying."""
    both = any(one.view is View.both for one in findings)
    named = {name: curve for one in findings for name, curve in one.fixed}
    return {name if both else name.removesuffix(", PRM only"): curve for name, curve in named.items()}


def _fixed(pool: Pool, curves: Mapping[str, Floats]) -> Iterator[Contender]:
    """The selections that a reader may choose from, and the raw score for comparison."""
    for name in ("majority", "argmax", "weighted vote"):
        if name in curves:
            yield fixed_contender(name, curves[name], powers_of_two(pool.limit))
    for name in ("argmax, raw score", "argmax, PRM only", "argmax, log-probabilities only"):
        if name in curves:
            yield fixed_contender(name, curves[name], (pool.reference,))


def _rules(findings: Sequence[Findings]) -> Iterator[Contender]:
    """The rules in the order of their table."""
    found = {rule.name: (rule, one.view is View.oracle) for one in findings for rule in one.rules}
    for rule, bound in (found[one.name] for one in RULES if one.name in found):
        labels = tuple(setting.label for setting in rule.settings)
        shown = frozenset(setting.label for setting in rule.settings if setting.shown)
        yield Contender(rule.name, labels, shown, rule.figures, rule.curve, bound)


def _notes(pool: Pool, findings: Sequence[Findings]) -> Iterator[str]:
    yield f"{len(pool.problems)} problems, {_sizes(pool)} samples each, {pool.repeats} orders; tokens are {pool.units}"
    views = {one.view: one for one in findings}
    for view, one in views.items():
        if view not in (View.votes, View.oracle, View.raw):
            yield f"{view}: {one.calibration}"
    yield from (line for view, line in _LACKS.items() if view not in views)
    if View.raw in views and any(problem.question_score is None for problem in pool.problems):
        yield "no score of the question alone is recorded: no IAS rows, and beliefs start uniform"
    if any(problem.question_tokens is None for problem in pool.problems):
        yield "the questions' texts are not recorded: prompt tokens are not known"


def _sizes(pool: Pool) -> str:
    sizes = sorted({problem.size for problem in pool.problems})
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} (used up to {pool.limit})"


def verified_part(pool: Pool, predicted: Mapping[str, Belief] | None, seed: int) -> Part:
    """The part of a pool whose samples are checked; `predicted` are priors from the questions, where there are."""
    curve = np.swapaxes(verified.figures(pool, verified.uniform(pool, stops=True)), 0, 1)
    contenders = [
        Contender(
            name,
            rule.labels,
            rule.shown,
            verified.figures(pool, rule)[None],
            curve,
            name.startswith("oracle"),
        )
        for name, rule in _exact_rules(pool, predicted, seed)
    ]
    references = [Reference(f"cap {pool.reference}, stop at success", curve, pool.reference)]
    rows, matches = judged([problem.id for problem in pool.problems], contenders, references, SAMPLES, seed)
    exact = min(problem.size for problem in pool.problems) >= verified.CAP
    notes = (
        f"{len(pool.problems)} problems, {_sizes(pool)} checked samples each",
        "exact expectations, p = n_correct / n" if exact else "exact expectations, drawn without replacement",
        "the share is of the samples of a uniform cap that stops at success, too",
        *(() if predicted else ("no predictor of difficulty ran: the rows without one are all there is",)),
    )
    return Part(pool.source.name, pool.source.about, notes, rows, matches, "samples")


def _exact_rules(
    pool: Pool, predicted: Mapping[str, Belief] | None, seed: int
) -> Iterator[tuple[str, verified.Tries]]:
    yield "fixed N, all tried", verified.uniform(pool, stops=False)
    yield "fixed N as a cap, stop at success", verified.uniform(pool, stops=True)
    yield "give up, no predictor", verified.give_up(pool, verified.population(pool, seed))
    if predicted:
        yield "give up, predictor", verified.give_up(pool, predicted)
        yield "IAS with the predicted p, stop at success", verified.instance_adaptive(pool, predicted, None)
        yield "IAS with its 10 % quantile, stop at success", verified.instance_adaptive(pool, predicted, 0.1)
    yield "oracle: greedy by true p, one shot (Damani)", verified.greedy(pool, stops=False)
    yield "oracle: greedy by true p, stop at success", verified.greedy(pool, stops=True)
    yield "oracle: knows the hopeless, cap, stop at success", verified.never_hopeless(pool)
