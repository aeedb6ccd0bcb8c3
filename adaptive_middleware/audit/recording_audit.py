"""The audit of a recording: the calibration of every scored sample, and what policies make of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from adaptive_middleware.audit.better import FEWEST, better, compared
from adaptive_middleware.audit.contest import Contender, Played, Stage, default, rivals, stage
from adaptive_middleware.audit.error import bias, calibration_error
from adaptive_middleware.audit.findings import Findings, findings
from adaptive_middleware.audit.lower import lower_coverage
from adaptive_middleware.audit.recalibrate import recalibrated, refitted
from adaptive_middleware.audit.result import Audit, InUse, Policies, Questions
from adaptive_middleware.audit.signal import Signal, signal
from adaptive_middleware.audit.traffic import Scored, Traffic, estimates_of, judged
from adaptive_middleware.audit.verdict import TOLERANCE, UNJUDGED, verdict
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.replay import once


@dataclass(frozen=True, slots=True)
class Settings:
    """What an audit may be told: the verdict's tolerance, orders per problem, the seed, and the policy in use.

    Without `policy` it is what a configuration gets that names none.
    """

    tolerance: float = TOLERANCE
    repeats: int = 10
    seed: int = 0
    policy: Contender | None = None


def audit_recording(
    traffic: Traffic,
    calibrate: Calibrator,
    settings: Settings = Settings(),
    tick: Callable[[str], None] = lambda _: None,
) -> Audit:
    """The audit of recorded samples with the calibration in use (`calibration.raw.uncalibrated` for none).

    `tick` is called with what is being done. Raises `CalibrationError` for recorded values that no calibration takes.
    """
    tick("measuring the calibration")
    found = _findings(traffic, calibrate, settings)
    tick("recalibrating")
    fitted, missing = _refitted(traffic, settings.seed)
    ready = stage(traffic.tapes, calibrate, repeats=settings.repeats, seed=settings.seed)
    played = _play(ready, settings, tick)
    return Audit(
        kind="recording",
        n=len(traffic.answers),
        verdict=UNJUDGED if found is None else verdict(found, settings.tolerance),
        findings=found,
        questions=_questions(traffic.questions, calibrate, settings.seed),
        signal=_signal(traffic, played, settings.seed),
        policies=_policies(played, _recalibrated_use(ready, played[0].contender, fitted), settings.seed),
        after=None if fitted is None else recalibrated(traffic, fitted, settings.seed),
        notes=(*traffic.notes, *missing, *_few(traffic)),
    )


def _findings(traffic: Traffic, calibrate: Calibrator, settings: Settings) -> Findings | None:
    if not traffic.answers:
        return None
    estimates = estimates_of(traffic.answers, calibrate)
    coverage = lower_coverage(estimates, [one.example for one in traffic.answers])
    return findings(judged(traffic.answers, estimates), coverage, settings.seed, ordered=traffic.timed)


def _refitted(traffic: Traffic, seed: int) -> tuple[Mapping[str, Calibration] | None, tuple[str, ...]]:
    if not traffic.answers:
        return None, ("no scores are recorded: no probability can be audited; votes are still compared",)
    try:
        return refitted(traffic, seed), ()
    except CalibrationError as error:
        return None, (f"what recalibration would give is unknown: {error}",)


def _play(ready: Stage, settings: Settings, tick: Callable[[str], None]) -> list[Played]:
    """The policy in use, then its rivals."""
    usual = default(ready.tapes)
    contenders = [settings.policy or usual, *rivals(usual.limit, scored=ready.scored)]
    played = []
    for number, contender in enumerate(contenders, 1):
        tick(f"replaying {contender.name} ({number} of {len(contenders)})")
        played.append(ready.play(contender))
    return played


def _recalibrated_use(
    ready: Stage, contender: Contender, fitted: Mapping[str, Calibration] | None
) -> Played | None:
    """The policy in use, with calibrations that were fitted to the other problems; unscored problems keep theirs."""
    if fitted is None:
        return None
    calibrators = tuple(
        once(fitted[group], one) if (group := str(one.request.run_id)) in fitted else known
        for one, known in zip(ready.tapes, ready.calibrators, strict=True)
    )
    return replace(ready, calibrators=calibrators).play(contender)


def _policies(played: Sequence[Played], after: Played | None, seed: int) -> Policies:
    found = compared(played[0], played[1:], seed)
    winner = better(found) if len(played[0].correct) >= FEWEST else None
    return Policies(_means(played[0]), tuple(found), winner, None if after is None else _means(after))


def _means(played: Played) -> InUse:
    columns = (played.correct, played.samples, played.tokens, played.prm_tokens)
    return InUse(played.contender.name, *(float(column.mean()) for column in columns))


def _few(traffic: Traffic) -> Iterator[str]:
    problems = len(traffic.tapes)
    if problems < FEWEST:
        yield f"{problems} problems are too few to recommend a policy: at least {FEWEST} are needed"


def _signal(traffic: Traffic, played: Sequence[Played], seed: int) -> Signal | None:
    if not traffic.answers:
        return None
    limit = default(traffic.tapes).limit
    argmax, majority = (
        next(one for one in played[1:] if one.contender.name == f"fixed:n={limit},select={select}")
        for select in ("argmax", "majority")
    )
    return signal([one.example for one in traffic.answers], argmax, majority, seed)


def _questions(questions: Sequence[Scored], calibrate: Calibrator, seed: int) -> Questions | None:
    if not questions:
        return None
    estimates = estimates_of(questions, calibrate)
    found = judged(questions, estimates)
    error, coverage = (
        calibration_error(found, seed),
        lower_coverage(estimates, [q.example for q in questions]),
    )
    share = None if coverage is None else coverage.share
    return Questions(found.n, error.value, (error.low, error.high), bias(found).value, share)
