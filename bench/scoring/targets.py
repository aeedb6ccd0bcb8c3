"""The numbers to reach, each with where it is read in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.scoring.measure import Figures
from bench.scoring.report import Report


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached, on which device and shapes; `least` says that the bound is a lower one.

    `full` targets are read from the full table, which a quick run has not.
    """

    about: str
    device: str
    shapes: tuple[str, ...]
    value: Callable[[Report], float]
    bound: float
    least: bool = True
    full: bool = False

    def met(self, report: Report) -> bool:
        """Whether a run reached it."""
        value = self.value(report)
        return value >= self.bound if self.least else value <= self.bound


def of(device: str, shape: str, *, quick: bool) -> list[Target]:
    """The targets that a run of this shape on this device can show."""
    own = [target for target in TARGETS if target.device == device and shape in target.shapes]
    return [target for target in own if not (quick and target.full)]


def _line(report: Report, case: str, way: str) -> Figures:
    return next(line for line in report.rows if line.case.startswith(f"{case}:") and line.way == way)


def _pair(name: str) -> Callable[[Report], float]:
    return lambda report: next(pair.time for pair in report.pairs if pair.name == name)


def _times(case: str) -> Callable[[Report], float]:
    return lambda report: _line(report, case, "rescoring, padded").ms / _line(report, case, "incremental").ms


def _over_floor(report: Report) -> float:
    """The worst over B4 of the time of a step over the least possible one."""
    lines = [line for line in report.rows if line.case.startswith("B4") and line.way == "incremental"]
    return max(1 / line.roofline for line in lines)


def _utilisation(report: Report) -> float:
    return _line(report, "B3", "shared prompt").mfu


def _difference(report: Report) -> float:
    return report.max_abs_dp


def _all() -> Iterator[Target]:
    every, large = ("135m", "1.5b", "7b"), ("1.5b", "7b")
    yield Target("max dp, float32", "cpu", every, _difference, 1e-5, least=False)
    yield Target("incremental over rescoring", "cpu", ("135m",), _pair("incremental_vs_rescoring"), 6.0)
    yield Target("shared prompt over batch", "cpu", ("135m",), _pair("shared_prompt_vs_batch"), 1.9)
    yield Target("max dp, bfloat16", "cuda", every, _difference, 1.5e-2, least=False)
    yield Target("MFU of B3, shared prompt", "cuda", ("7b",), _utilisation, 0.60, full=True)
    yield Target("MFU of B3, shared prompt", "cuda", ("1.5b",), _utilisation, 0.50, full=True)
    yield Target(
        "incremental step over its floor, worst of B4",
        "cuda",
        large,
        _over_floor,
        1.5,
        least=False,
        full=True,
    )
    yield Target("incremental over rescoring, S=5", "cuda", large, _times("B4 S=5"), 3.0, full=True)
    yield Target("incremental over rescoring, S=20", "cuda", large, _times("B4 S=20"), 8.0, full=True)


TARGETS = tuple(_all())
