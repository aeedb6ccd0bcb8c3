"""What the machine gives: Python, accelerators, clock, disk, open files."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from adaptive_middleware.doctor.extras import DISTRIBUTION, installed
from adaptive_middleware.doctor.finding import Finding, fail, ok, warn

_MIB = 1 << 20
_LEAST, _LITTLE = 100 * _MIB, 1024 * _MIB
_MADE = 1_761_955_200  # 1 November 2025, UTC: no clock can be before it
_SPARE_FILES, _FEW_CALLS = 64, 16


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """The interpreter that runs this: the one that a service runs must be the same."""
    number = ".".join(map(str, version))
    what = f"{number} at {sys.executable}; {DISTRIBUTION} {installed(DISTRIBUTION) or 'from its source'}"
    if version < (3, 11):
        return fail("python", what, "use Python 3.11 or newer")
    return ok("python", what)


def accelerator(wanted: str | None) -> Finding:
    """PyTorch and what it runs on; `wanted` is the device that a configuration names (`cuda:1`), None: none."""
    if find_spec("torch") is None:
        return ok("accelerator", "PyTorch is not installed; nothing asked for it")
    import torch  # noqa: PLC0415 - heavy, and only looked at here

    cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    mps = torch.backends.mps.is_available()
    return seen(torch.__version__, cards, mps=mps, wanted=wanted)


def seen(version: str, cards: list[str], *, mps: bool, wanted: str | None) -> Finding:
    """What is to be said of the devices that PyTorch sees."""
    devices = [f"cuda:{index} {name}" for index, name in enumerate(cards)] + ["mps"] * mps
    what = f"PyTorch {version} on {', '.join(devices) or 'the CPU only'}"
    kind, _, index = (wanted or "cpu").partition(":")
    if kind == "cuda" and int(index or 0) >= len(cards):
        fix = "look at nvidia-smi and install the PyTorch build for your CUDA, or set prm.device: cpu"
        return fail("accelerator", f"prm.device is {wanted}, but this is {what}", fix)
    if kind == "mps" and not mps:
        return fail("accelerator", f"prm.device is mps, but this is {what}", "set prm.device: cpu")
    if kind == "cpu" and wanted is not None and devices:
        return warn("accelerator", f"prm.device is cpu, with {what}", "set prm.device to use it")
    return ok("accelerator", what)


def clock(now: float | None = None) -> Finding:
    """Whether the wall clock can be right: budgets of a day and names of calls are read from it."""
    now = time.time() if now is None else now
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _MADE:
        return fail(
            "clock", f"{shown} is before this package was made", "set the clock: timedatectl set-ntp true"
        )
    return ok("clock", shown)


def clock_beside(now: float, other: float, whose: str) -> Finding:
    """Whether the wall clock agrees with another one, both in seconds since 1970."""
    apart = now - other
    if abs(apart) <= 60:
        return ok("clock", f"within a minute of {whose}")
    what = f"{abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} {whose}"
    return warn("clock", what, "set the clock of one of the two: timedatectl set-ntp true")


def disk(folders: Iterable[Path]) -> Iterator[Finding]:
    """Whether there is room where files are written, one finding per file system."""
    found = [path for path in folders if path.is_dir()]
    for folder in {path.stat().st_dev: path for path in reversed(found)}.values():
        yield room(folder, shutil.disk_usage(folder).free)


def room(folder: Path, free: int) -> Finding:
    """What is to be said of `free` bytes in a folder."""
    what = f"{free / _MIB / 1024:.1f} GiB free in {folder}"
    if free >= _LITTLE:
        return ok("disk", what)
    make = f"make room in {folder}, or keep traces and journals elsewhere"
    return warn("disk", what, make) if free >= _LEAST else fail("disk", what, make)


def open_files(samples: int) -> Finding:
    """How many calls at once the limit of open files has room for, at one connection a sample."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return ok("open files", "this system has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return files_for(soft, samples, hard, unlimited=resource.RLIM_INFINITY)


def files_for(soft: int, samples: int, hard: int, unlimited: int = -1) -> Finding:
    """What is to be said of a limit of open files when a call may draw `samples` at once."""
    if soft == unlimited:
        return ok("open files", "no limit")
    calls = max(0, soft - _SPARE_FILES) // samples
    what = f"at most {soft}: room for about {calls} calls at once that draw {samples} samples each"
    if calls >= _FEW_CALLS:
        return ok("open files", what)
    return warn(
        "open files", what, f"raise it before you start: ulimit -n {hard if 0 < hard < 8192 else 8192}"
    )
