"""What a run found, as one value, and as the documented JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

from bench.scoring.clients import Served
from bench.scoring.costs import Peak, total
from bench.scoring.machine import Machine
from bench.scoring.measure import Figures, Timing

_PAIRS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "incremental_vs_rescoring": ("rescoring, padded", "incremental"),
        "shared_prompt_vs_batch": ("padded batch", "shared prompt"),
        "packed_vs_one_by_one": ("one by one", "packed"),
    }
)


@dataclass(frozen=True, slots=True)
class About:
    """Where and what was measured."""

    machine: Machine
    shape: str
    quick: bool
    dtype: str
    standard: str
    peak: Peak


@dataclass(frozen=True, slots=True)
class Gate:
    """Differences of probabilities to float32 one by one, way by way, in a number format, on a small setting."""

    setting: str
    dtype: str
    gaps: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pair:
    """How many times longer one way takes than another, and how many times more tokens it computes."""

    name: str
    time: float
    tokens: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one run; `pairs` are of the standard case."""

    about: About
    gate: Gate
    pairs: tuple[Pair, ...]
    rows: tuple[Figures, ...]
    crowds: tuple[Served, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def max_abs_dp(self) -> float:
        """The largest difference of the gate."""
        return max(self.gate.gaps.values())


def pairs(timings: Iterable[Timing]) -> tuple[Pair, ...]:
    """The documented ratios, from a case that has their ways."""
    found = {timing.way.name: timing for timing in timings}
    return tuple(_pair(name, found[slow], found[fast]) for name, (slow, fast) in _PAIRS.items())


def as_json(report: Report) -> dict[str, object]:
    """The documented keys first; numbers to four digits."""
    about = report.about
    return {
        "device": about.machine.place.type,
        "max_abs_dp": short(report.max_abs_dp),
        "ratios": {pair.name: short(pair.time) for pair in report.pairs},
        "token_ratios": {pair.name: short(pair.tokens) for pair in report.pairs},
        "shape": about.shape,
        "machine": about.machine.about,
        "timed_by": about.machine.timed_by,
        "ratios_dtype": about.dtype,
        "ratios_setting": about.standard,
        "max_abs_dp_dtype": report.gate.dtype,
        "max_abs_dp_setting": report.gate.setting,
        "peak": {"tflops": short(about.peak.flops / 1e12), "gb_per_s": short(about.peak.bytes / 1e9)},
        "rows": _short(report.rows),
        "clients": _short(report.crowds),
        "notes": list(report.notes),
        "seconds": round(report.seconds, 1),
    }


def short(value: float) -> float:
    """Four significant digits.

    >>> short(8.39999), short(1.234567e-7)
    (8.4, 1.235e-07)
    """
    return float(f"{value:.4g}")


def _short(lines: Sequence[Figures | Served]) -> list[dict[str, object]]:
    return [
        {key: short(value) if isinstance(value, float) else value for key, value in asdict(line).items()}
        for line in lines
    ]


def _pair(name: str, slow: Timing, fast: Timing) -> Pair:
    more = total(slow.way.own).tokens / total(fast.way.own).tokens
    return Pair(name, slow.ms / fast.ms, more)
