"""The machine that is measured: its clock, and the two ceilings that everything is compared with."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from adaptive_middleware.errors import ConfigError
from bench.scoring.costs import Peak

T = TypeVar("T")
_ROUNDS = 7
_GEMM = {"cpu": 1024, "cuda": 8192}
_COPY = {"cpu": 2**28, "cuda": 2**32}
_SAME = 1.5
"""bfloat16 has to be this much faster than float32 to be called supported."""


class Clock(Protocol):
    """Runs a piece of work, and returns its milliseconds beside its result."""

    def __call__(self, work: Callable[[], T]) -> tuple[float, T]:
        """Time `work` once."""


class Mark(Protocol):
    """A point in the device's own time, as `torch.cuda.Event` is one."""

    def record(self) -> None:
        """Put the mark behind all work given to the device so far."""

    def synchronize(self) -> None:
        """Wait until the device has come to the mark."""

    def elapsed_time(self, end_event: Any) -> Any:  # noqa: ANN401 - as torch declares it
        """Milliseconds from this mark to another of its kind."""


@dataclass(frozen=True, slots=True)
class HostClock:
    """A clock of this process: CPU seconds of all its threads, or wall seconds."""

    seconds: Callable[[], float]

    def __call__(self, work: Callable[[], T]) -> tuple[float, T]:
        """Time `work` once."""
        started = self.seconds()
        result = work()
        return (self.seconds() - started) * 1000, result


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """The device's clock: marks around the work, which the caller need not have waited for."""

    mark: Callable[[], Mark]

    def __call__(self, work: Callable[[], T]) -> tuple[float, T]:
        """Time `work` once."""
        start, end = self.mark(), self.mark()
        start.record()
        result = work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)), result


@dataclass(frozen=True, slots=True)
class Machine:
    """Where everything runs, how it is timed, and in words what both are."""

    place: torch.device
    gpu: bool
    threads: int
    clock: Clock
    about: str
    timed_by: str


def open_machine(device: str, threads: int) -> Machine:
    """The named device, `cpu` or `cuda`, for which torch is told the number of threads.

    Raises `ConfigError` when the device is not there.
    """
    torch.set_num_threads(threads)
    if device == "cpu":
        timed = "process CPU time" if threads == 1 else "wall time"
        clock = HostClock(time.process_time if threads == 1 else time.perf_counter)
        about = f"{_processor()}, {threads} thread{'s' * (threads > 1)}, torch {torch.__version__}"
        return Machine(torch.device("cpu"), False, threads, clock, about, timed)
    if not torch.cuda.is_available():
        message = (
            f"--device {device}: torch {torch.__version__} sees no CUDA device here: "
            "run on a machine with an NVIDIA GPU and a CUDA build of torch, or take --device cpu"
        )
        raise ConfigError(message)
    about = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return Machine(torch.device("cuda"), True, threads, DeviceClock(_event), about, "CUDA events")


def fast_dtype(machine: Machine) -> torch.dtype:
    """bfloat16 where the hardware multiplies it faster than float32, else float32."""
    if machine.gpu:
        return torch.bfloat16
    slow, fast = (gemm(machine, dtype, 512) for dtype in (torch.float32, torch.bfloat16))
    return torch.bfloat16 if fast > _SAME * slow else torch.float32


def measure_peak(machine: Machine, dtype: torch.dtype) -> Peak:
    """The two ceilings, on random data: medians, warm."""
    kind = machine.place.type
    return Peak(gemm(machine, dtype, _GEMM[kind]), copied(machine, _COPY[kind]))


def gemm(machine: Machine, dtype: torch.dtype, size: int) -> float:
    """Operations per second of a square matrix product."""
    left, right = (torch.randn(size, size, device=machine.place).to(dtype) for _ in range(2))
    return 2 * size**3 / _seconds(machine, lambda: left @ right)


def copied(machine: Machine, count: int) -> float:
    """Bytes per second of a copy within the device's memory, bytes read plus bytes written."""
    random = torch.randint(0, 255, (2**20,), dtype=torch.uint8, device=machine.place)
    source = random.repeat(count // 2**20)
    target = torch.empty_like(source)
    return 2 * count / _seconds(machine, lambda: target.copy_(source))


def _seconds(machine: Machine, work: Callable[[], torch.Tensor]) -> float:
    work()
    return statistics.median(machine.clock(work)[0] for _ in range(_ROUNDS)) / 1000


def _event() -> Mark:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
