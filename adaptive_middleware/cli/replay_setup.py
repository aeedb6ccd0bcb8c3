"""From a recording and options to what `bench replay` runs: tapes, orders, calibrators, rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from adaptive_middleware.cli.policy_spec import Spec
from adaptive_middleware.cli.replay_calibration import calibrators
from adaptive_middleware.cli.replay_rows import Bench, Ordering, fixed_specs, orders, reel
from adaptive_middleware.policy import instance_adaptive
from adaptive_middleware.recording import Problem, RecordedSample, read_recording
from adaptive_middleware.replay import Tape, as_written, canonical, tape


@dataclass(frozen=True, slots=True)
class Options:
    """The command's options; `select` and `calibration` are None for the default that fits the recording."""

    shuffled: bool = True
    by_seed: bool = False
    repeats: int = 20
    seed: int = 0
    select: str | None = None
    calibration: str | None = None
    canonical: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything ready to run: the comparison, its rows, and what the reader must know of them."""

    bench: Bench
    specs: tuple[Spec, ...]
    notes: tuple[str, ...]


def plan(recording: Path, given: Sequence[Spec], options: Options) -> Plan:
    """Read the recording and prepare every row.

    Raises `RecordingError`, `CalibrationError`, or `typer.BadParameter` for an option that does not fit the
    recording.
    """
    problems = read_recording(recording)
    tapes = [tape(problem, canonical if options.canonical else as_written) for problem in problems]
    selections = _selections(problems, tapes, [options.select, *(spec.select for spec in given)])
    _check(problems, options)
    largest = _largest(problems, options.by_seed)
    specs = (*fixed_specs(largest, selections), *given)
    depth = max(spec.limit or largest for spec in specs)
    by = Ordering(options.shuffled, options.by_seed, options.repeats, options.seed, depth)
    fitted, how = calibrators(tapes, options.calibration, options.seed)
    reels = [
        reel(one, orders(problem, by), calibrate, verified=problem.verified)
        for problem, one, calibrate in zip(problems, tapes, fitted, strict=True)
    ]
    notes = (f"{len(problems)} problems; {how}", *_notes(problems, given))
    return Plan(Bench(reels, selections[0], largest, options.seed), specs, notes)


def _selections(
    problems: Sequence[Problem], tapes: Sequence[Tape], asked: Sequence[str | None]
) -> tuple[str, ...]:
    """Selections of the fixed rows, the default first."""
    if all(problem.verified for problem in problems):
        possible = ["verified"]
    else:
        scored = any(one.scored for one in tapes)
        possible = ["argmax", "calibrated-vote", "majority"] if scored else ["majority"]
        possible.append("verified")
    for name in asked:
        if name is not None and name not in possible:
            message = f"selection {name!r} needs what this recording lacks; possible: {', '.join(possible)}"
            raise typer.BadParameter(message)
    default = asked[0] or possible[0]
    return (default, *(name for name in ("argmax", "majority") if name in possible and name != default))


def _check(problems: Sequence[Problem], options: Options) -> None:
    if not options.shuffled and any(problem.verified for problem in problems):
        message = "--order recorded: a pool of counts (n, n_correct) has no order; use --order shuffled"
        raise typer.BadParameter(message)
    if options.by_seed and any(sample.seed is None for sample in _samples(problems)):
        message = "--by seed: not every sample has a 'seed'"
        raise typer.BadParameter(message)
    if options.by_seed and any(problem.verified for problem in problems):
        message = "--by seed: a pool of counts (n, n_correct) has no seeds"
        raise typer.BadParameter(message)


def _largest(problems: Sequence[Problem], by_seed: bool) -> int:
    """The largest power of two that every problem has samples for."""
    shortest = min(size for problem in problems for size in _sizes(problem, by_seed))
    return 1 << (shortest.bit_length() - 1)


def _sizes(problem: Problem, by_seed: bool) -> list[int]:
    if not by_seed:
        return [problem.size]
    seeds = [sample.seed for sample in problem.samples]
    return [seeds.count(seed) for seed in set(seeds)]


def _notes(problems: Sequence[Problem], given: Sequence[Spec]) -> Iterator[str]:
    if any(sample.tokens_estimated for sample in _samples(problems)):
        yield "some samples have no token count: words are counted instead"
    if len({problem.size for problem in problems}) > 1:
        smallest = min(problem.size for problem in problems)
        yield f"problems have unequal numbers of samples; fixed rows go as far as the fewest ({smallest})"
    asks = any(isinstance(spec.policy, instance_adaptive) for spec in given)
    if asks and any(problem.question_score is None for problem in problems):
        yield "instance-adaptive reads the question's score, which is not recorded: it draws its whole cap"


def _samples(problems: Sequence[Problem]) -> Iterator[RecordedSample]:
    return (sample for problem in problems for sample in problem.samples)
