"""What `what-if` computes: a policy asked again on kept calls, with the samples that were drawn, in the order they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.cli.policy_spec import Spec
from adaptive_middleware.cli.replay_rows import Reel, strategy
from adaptive_middleware.cli.what_if_figures import Mean, bounds, mean
from adaptive_middleware.replay import ENDED, Take, Tape, replay, take
from adaptive_middleware.trace.export import known_right
from adaptive_middleware.trace.reading import Kept
from adaptive_middleware.types import Estimate, Path, Request, StepScores, Usage

ACTUAL = "as it was"


@dataclass(frozen=True, slots=True)
class Case:
    """A kept call made ready: its tape, what is known of each sample, and the question that it shares with others."""

    call: Kept
    reel: Reel
    right: tuple[bool | None, ...]

    @property
    def group(self) -> str:
        """Calls with the same question are not independent."""
        return self.call.question or self.call.id


@dataclass(frozen=True, slots=True)
class Spent:
    """What one call would have cost: samples, completion tokens, dollars where known; `right` of the returned answer."""

    samples: int
    tokens: int
    usd: float | None
    right: bool | None
    short: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A policy on all cases: means per call with 95 % intervals by question.

    `accuracy` is over the calls of which anything is known: (low, high), where answers that are not known count as wrong,
    and as right; `accuracy_ci95` is around both. `short` is the share of calls that would have asked for more samples than
    were drawn: their cost is counted too low.
    """

    policy: str
    samples: Mean
    tokens: Mean
    usd: Mean | None
    judged: int
    accuracy: tuple[float, float] | None
    accuracy_ci95: tuple[float, float] | None
    short: float


def cases(calls: Iterable[Kept]) -> list[Case]:
    """The calls that a policy can be asked about: not those that were only passed through."""
    return [_case(call, call.report) for call in calls if call.report and call.report["candidates"]]


def actual(found: Sequence[Case]) -> Row:
    """What the calls did cost and achieve."""
    spent = []
    for one in found:
        chosen = None if one.call.report is None else one.call.report["chosen"]
        right = None if chosen is None else one.right[chosen]
        call = one.call
        spent.append(Spent(call.samples, call.tokens, call.usd, right, short=False))
    return _row(ACTUAL, found, spent)


def played(spec: Spec, found: Sequence[Case], tick: Callable[[], None] = lambda: None) -> Row:
    """What a policy would have cost and achieved; `tick` is called after each call."""
    spent = []
    for one in found:
        spent.append(_spent(spec, one))
        tick()
    return _row(spec.name, found, spent)


def _spent(spec: Spec, one: Case) -> Spent:
    scored = one.reel.tape.scored
    select = spec.select or ("argmax" if scored else "majority")
    outcome = replay(one.reel.tape, strategy(spec, one.reel, select, one.call.max_samples))
    tokens, call = outcome.usage.completion_tokens, one.call
    usd = None if call.usd is None or not call.tokens else call.usd * tokens / call.tokens
    short = any(cause.startswith(ENDED) for cause in outcome.degraded)
    samples = len(outcome.considered) + len(outcome.dropped)
    return Spent(samples, tokens, usd, one.right[take(outcome.chosen).sample], short)


def _row(name: str, found: Sequence[Case], spent: Sequence[Spent]) -> Row:
    groups = [one.group for one in found]
    priced = [(group, each.usd) for group, each in zip(groups, spent, strict=True) if each.usd is not None]
    judged = [i for i, one in enumerate(found) if any(right is not None for right in one.right)]
    low = mean([groups[i] for i in judged], [float(spent[i].right is True) for i in judged])
    high = mean([groups[i] for i in judged], [float(spent[i].right is not False) for i in judged])
    return Row(
        name,
        mean(groups, [each.samples for each in spent]),
        mean(groups, [each.tokens for each in spent]),
        mean([group for group, _ in priced], [usd for _, usd in priced]) if priced else None,
        len(judged),
        (low.value, high.value) if judged else None,
        (bounds(low)[0], bounds(high)[1]) if judged else None,
        sum(each.short for each in spent) / len(spent),
    )


def _case(call: Kept, report: dict[str, Any]) -> Case:
    candidates = report["candidates"]
    right = tuple(known_right(call, report, number) for number in range(len(candidates)))
    paths = tuple(_path(number, one, right[number]) for number, one in enumerate(candidates))
    question = StepScores(rejected="the question was not scored")
    if report["question"] is not None:
        question = StepScores((report["question"]["mean"],))
    verified = all(one["verified"] is not None for one in candidates)
    tape = Tape(Request("", run_id=call.id), paths, question)
    return Case(call, Reel(tape, (), _estimates(call, report), verified), right)


def _path(number: int, candidate: dict[str, Any], right: bool | None) -> Path:
    scores = StepScores(rejected="not scored")
    values = tuple(candidate["step_scores"] or ())
    if candidate["estimate"] is not None and values:
        scores = StepScores(values)
    taken = Take(right is True, candidate["answer"], scores, number)
    usage = Usage(completion_tokens=candidate["completion_tokens"], requests=1)
    return Path(("-",) * max(len(values), 1), finish_reason="stop", usage=usage, raw=taken)


def _estimates(call: Kept, report: dict[str, Any]) -> Callable[[Path, StepScores], Estimate]:
    """The estimates that the call itself had: nothing is calibrated anew."""
    prior = tuple((level, value) for level, value in call.details["prior"] or ())

    def kept(path: Path, _scores: StepScores) -> Estimate:
        if not path.steps:
            return _estimate(report["question"], prior)
        return _estimate(report["candidates"][take(path).sample]["estimate"], ())

    return kept


def _estimate(figures: dict[str, float], quantiles: tuple[tuple[float, float], ...]) -> Estimate:
    return Estimate(figures["mean"], figures["lower"], figures["upper"], quantiles)
