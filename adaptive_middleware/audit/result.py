"""The result of an audit, and the same as plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from adaptive_middleware.audit.better import Compared
from adaptive_middleware.audit.findings import Findings
from adaptive_middleware.audit.recalibrate import Recalibrated
from adaptive_middleware.audit.signal import Signal
from adaptive_middleware.audit.verdict import Verdict


@dataclass(frozen=True, slots=True)
class InUse:
    """The policy in use on this traffic: means per problem."""

    name: str
    accuracy: float
    samples: float
    tokens: float
    prm_tokens: float


@dataclass(frozen=True, slots=True)
class Policies:
    """The policy in use, its rivals beside it, and the rival that would have been better, if any.

    `recalibrated` is the policy in use with a calibration fitted to other problems of this traffic.
    """

    in_use: InUse
    rivals: tuple[Compared, ...]
    better: Compared | None
    recalibrated: InUse | None = None


@dataclass(frozen=True, slots=True)
class Questions:
    """Figures of the estimates from the question alone, against the share right of its recorded answers."""

    n: int
    ece: float
    ece_ci95: tuple[float, float]
    bias: float
    coverage_lower10: float | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything an audit found; a part is None where the recording or store does not tell.

    `n` counts the judged answers or calls; `notes` say what was left out or could not be done.
    """

    kind: str
    n: int
    verdict: Verdict
    findings: Findings | None
    questions: Questions | None = None
    signal: Signal | None = None
    policies: Policies | None = None
    after: Recalibrated | None = None
    notes: tuple[str, ...] = ()


def plain(audit: Audit) -> dict[str, Any]:
    """The audit as JSON values: `n, ece, ece_ci95, coverage_lower10, holds, better_policy` first, then the details."""
    found = audit.findings
    coverage = None if found is None else found.coverage
    better = None if audit.policies is None else audit.policies.better
    return {
        "n": audit.n,
        "ece": None if found is None else found.error.value,
        "ece_ci95": None if found is None else [found.error.low, found.error.high],
        "coverage_lower10": None if coverage is None else coverage.share,
        "holds": audit.verdict.holds,
        "better_policy": None if better is None else better.rival.name,
        "reasons": list(audit.verdict.reasons),
        "too_few_need": audit.verdict.need,
        "notes": list(audit.notes),
        "kind": audit.kind,
        **_details(found),
        "question": None if audit.questions is None else _questions(audit.questions),
        "prm": None if audit.signal is None else _signal(audit.signal),
        "policy": None if audit.policies is None else asdict(audit.policies.in_use),
        "rivals": [] if audit.policies is None else [_rival(one) for one in audit.policies.rivals],
        "better_policy_config": None if better is None else config(better),
        "after_recalibration": _after(audit),
    }


def config(better: Compared) -> str:
    """The recommended policy as a part of a configuration file, in YAML."""
    rival = better.rival
    lines = (
        "policies:",
        "  default:",
        "    strategy: best-of-n",
        f"    policy: {rival.config}",
        f"    select: {rival.select}",
        f"    max_samples: {rival.limit}",
    )
    return "\n".join(lines) + "\n"


def _details(found: Findings | None) -> dict[str, Any]:
    if found is None:
        names = ("problems", "brier", "bias", "bias_ci95", "test", "coverage_ci95", "drift")
        return dict.fromkeys(names)
    coverage = found.coverage
    return {
        "problems": found.problems,
        "brier": found.brier,
        "bias": found.bias.value,
        "bias_ci95": [found.bias.low, found.bias.high],
        "test": asdict(found.test),
        "coverage_ci95": None if coverage is None else [coverage.low, coverage.high],
        "drift": None if found.drift is None else asdict(found.drift),
    }


def _questions(questions: Questions) -> dict[str, Any]:
    return asdict(questions) | {"ece_ci95": list(questions.ece_ci95)}


def _after(audit: Audit) -> dict[str, Any] | None:
    if audit.after is None:
        return None
    used = None if audit.policies is None else audit.policies.recalibrated
    values = asdict(audit.after) | {"ece_ci95": list(audit.after.ece_ci95)}
    return {**values, "policy": None if used is None else asdict(used)}


def _signal(signal: Signal) -> Mapping[str, Any]:
    return {
        "auroc": signal.overall,
        "auroc_within": signal.within,
        "n": signal.n,
        "argmax": signal.argmax,
        "majority": signal.majority,
        "argmax_minus_majority": signal.gain.value,
        "argmax_minus_majority_ci95": [signal.gain.low, signal.gain.high],
        "worse_than_voting": signal.worse_than_voting,
    }


def _rival(one: Compared) -> Mapping[str, Any]:
    return {
        "policy": one.rival.name,
        "accuracy": one.accuracy,
        "samples": one.samples,
        "generated_tokens": one.tokens,
        "prm_tokens": one.prm_tokens,
        "gain": one.gain,
        "gain_ci95_joint": list(one.gain_ci95),
        "token_share": one.token_share,
        "token_share_ci95_joint": list(one.token_share_ci95),
        "better": one.better,
    }
