"""The demo's work: the embedded pair on graded held-out problems, adaptive and fixed side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from adaptive_middleware import lab
from adaptive_middleware.engine import run
from adaptive_middleware.lab.problems import LEVELS, Problem, is_correct, stories
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.policy import fixed
from adaptive_middleware.ports import Ports, Sampler
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.types import Candidate, Outcome, Path, Request

MAX_SAMPLES = 16
PER_LEVEL = 3
FIXED = (1, 2, 4, 8, 16)
CONFIG = {
    "version": 1,
    "prm": {"kind": "lab"},
    "calibration": "lab",
    "policies": {
        "default": {
            "strategy": "best-of-n",
            "policy": {
                "kind": "optimal-stopping",
                "target": 0.9,
                "give_up": 0.02,
                "sharpness": 1.9,
                "per_tokens": 40,
            },
            "max_samples": MAX_SAMPLES,
        }
    },
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Whether the returned answer was right, and what it took (tokens of the policy and the PRM)."""

    correct: bool
    samples: int
    generated_tokens: int
    prm_tokens: int


@dataclass(frozen=True, slots=True)
class Call:
    """One problem: the adaptive call, and what each fixed N would have done with the same samples."""

    problem: Problem
    outcome: Outcome
    adaptive: Cost
    fixed: dict[int, Cost]


def problems(per_level: int = PER_LEVEL) -> list[Problem]:
    """The first held-out problems of every level, from easy to hard."""
    chosen: dict[int, list[Problem]] = {level: [] for level in LEVELS}
    for problem in islice(stories("test"), 800):
        if len(chosen[problem.level]) < per_level:
            chosen[problem.level].append(problem)
    return [problem for level in LEVELS for problem in chosen[level]]


def calls(todo: Sequence[Problem], seed: int) -> Iterator[Call]:
    """Run the problems one after the other; a call is ready when it is yielded."""
    from adaptive_middleware.sampling.local import load_sampler  # noqa: PLC0415 - loads torch

    middleware = Middleware.from_config(CONFIG)
    sampler = load_sampler(lab.POLICY, seed=seed, max_new_tokens=96)
    for problem in todo:
        outcome = middleware.run(Request(problem.question), sampler)
        yield Call(
            problem, outcome, _adaptive(problem, outcome), _fixed(middleware, sampler, problem, outcome)
        )


def _adaptive(problem: Problem, outcome: Outcome) -> Cost:
    usage = outcome.usage
    right = is_correct(problem, outcome.chosen.text)
    return Cost(right, len(outcome.considered), usage.completion_tokens, usage.prm_tokens)


@dataclass(slots=True)
class _Pool:
    """Samples in a given order: those that the adaptive call drew, then fresh ones."""

    drawn: list[Path]
    fresh: Sampler

    def sample(self, request: Request, n: int) -> list[Path]:
        missing = n - len(self.drawn)
        return [*self.drawn[:n], *(self.fresh.sample(request, missing) if missing > 0 else ())]


def _fixed(middleware: Middleware, sampler: Sampler, problem: Problem, outcome: Outcome) -> dict[int, Cost]:
    """Fixed N on the same samples, with the same scorer, calibration and selection."""
    request = Request(problem.question)
    strategy = middleware.rule(request).strategy
    assert isinstance(strategy, best_of_n)  # noqa: S101 - CONFIG says so
    strategy = replace(strategy, policy=fixed(MAX_SAMPLES))
    pool = _Pool([candidate.path for candidate in outcome.considered], sampler)
    everything = run(strategy(request), Ports(pool, middleware.scorer))
    return {n: _first(n, everything.considered, strategy, problem) for n in FIXED}


def _first(n: int, considered: Sequence[Candidate], strategy: best_of_n, problem: Problem) -> Cost:
    kept = considered[:n]
    chosen = kept[strategy.select(kept).index]
    scored = [candidate.scores.tokens for candidate in kept if candidate.scores is not None]
    generated = sum(candidate.path.usage.completion_tokens for candidate in kept)
    return Cost(is_correct(problem, chosen.path.text), len(kept), generated, sum(scored))


def summary(done: Sequence[Call]) -> dict[str, object]:
    """The totals over `done`, in the documented shape of `demo --json`."""
    return {
        "problems": len(done),
        "adaptive": {
            "samples": sum(call.adaptive.samples for call in done),
            **_total([c.adaptive for c in done]),
        },
        "fixed": [{"n": n, **_total([call.fixed[n] for call in done])} for n in FIXED],
        "calls": [
            {
                "id": call.problem.id,
                "level": call.problem.level,
                "p": call.outcome.choice.probability if call.outcome.choice else None,
                "lower": lower(call.outcome),
                "samples": call.adaptive.samples,
                "correct": call.adaptive.correct,
            }
            for call in done
        ],
    }


def lower(outcome: Outcome) -> float | None:
    """The lower quantile of the returned answer's probability, where it was scored."""
    estimate = None if outcome.choice is None else outcome.considered[outcome.choice.index].estimate
    return None if estimate is None else estimate.lower


def _total(costs: Sequence[Cost]) -> dict[str, float]:
    return {
        "accuracy": sum(cost.correct for cost in costs) / max(len(costs), 1),
        "generated_tokens": sum(cost.generated_tokens for cost in costs),
        "prm_tokens": sum(cost.prm_tokens for cost in costs),
    }
