"""The audit of a recording: the calibration of every scored sample, and what policies make of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adaptive_middleware.audit.better import FEWEST, Compared, better, compared
from adaptive_middleware.audit.contest import Contender, Played, default, rivals, stage
from adaptive_middleware.audit.error import bias, calibration_error
from adaptive_middleware.audit.findings import Findings, findings
from adaptive_middleware.audit.lower import lower_coverage
from adaptive_middleware.audit.recalibrate import Recalibrated, recalibrated
from adaptive_middleware.audit.result import Audit, InUse, Policies, Questions
from adaptive_middleware.audit.signal import Signal, signal
from adaptive_middleware.audit.traffic import Scored, Traffic, estimates_of, judged
from adaptive_middleware.audit.verdict import TOLERANCE, UNJUDGED, verdict
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.ports import Calibrator


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
    after, missing = _recalibrated(traffic, settings.seed)
    played = _play(traffic, calibrate, settings, tick)
    policies, few = _policies(played, len(traffic.tapes), settings.seed)
    return Audit(
        kind="recording",
        n=len(traffic.answers),
        verdict=UNJUDGED if found is None else verdict(found, settings.tolerance),
        findings=found,
        questions=_questions(traffic.questions, calibrate, settings.seed),
        signal=_signal(traffic, played, settings.seed),
        policies=policies,
        after=after,
        notes=(*traffic.notes, *missing, *few),
    )


def _findings(traffic: Traffic, calibrate: Calibrator, settings: Settings) -> Findings | None:
    if not traffic.answers:
        return None
    estimates = estimates_of(traffic.answers, calibrate)
    coverage = lower_coverage(estimates, [one.example for one in traffic.answers])
    return findings(judged(traffic.answers, estimates), coverage, settings.seed, ordered=traffic.timed)


def _recalibrated(traffic: Traffic, seed: int) -> tuple[Recalibrated | None, tuple[str, ...]]:
    if not traffic.answers:
        return None, ("no scores are recorded: no probability can be audited; votes are still compared",)
    try:
        return recalibrated(traffic, seed), ()
    except CalibrationError as error:
        return None, (f"what recalibration would give is unknown: {error}",)


def _play(
    traffic: Traffic, calibrate: Calibrator, settings: Settings, tick: Callable[[str], None]
) -> list[Played]:
    """The policy in use, then its rivals."""
    ready = stage(traffic.tapes, calibrate, repeats=settings.repeats, seed=settings.seed)
    usual = default(traffic.tapes)
    contenders = [settings.policy or usual, *rivals(usual.limit, scored=ready.scored)]
    played = []
    for number, contender in enumerate(contenders, 1):
        tick(f"replaying {contender.name} ({number} of {len(contenders)})")
        played.append(ready.play(contender))
    return played


def _policies(played: Sequence[Played], problems: int, seed: int) -> tuple[Policies, tuple[str, ...]]:
    used, others = played[0], played[1:]
    columns = (used.correct, used.samples, used.tokens, used.prm_tokens)
    in_use = InUse(used.contender.name, *(float(column.mean()) for column in columns))
    found = compared(used, others, seed)
    winner: Compared | None = better(found)
    if problems >= FEWEST:
        return Policies(in_use, tuple(found), winner), ()
    few = f"{problems} problems are too few to recommend a policy: at least {FEWEST} are needed"
    return Policies(in_use, tuple(found), None), (few,)


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
