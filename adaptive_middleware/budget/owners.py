"""Who took a hold: the boot of the machine and the process, so that what died is told from what is slow."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

PROC = Path("/proc")


def owner() -> str:
    """This process, told from every other one on this machine, also from a later one with the same number.

    `boot:namespace:process:start` on Linux. Elsewhere boot and start are empty: only leases heal there.
    """
    return _owner(os.getpid())


def machine(name: str) -> str:
    """The boot in the name of an owner: monotonic clocks of one boot can be compared."""
    return name.partition(":")[0]


def died(name: str) -> bool:
    """Whether the process of that name has certainly ended; False where this process cannot tell.

    A process of an earlier boot has ended, and so has one of this process-id namespace that is not there any more.
    """
    boot, namespace, process, start = name.split(":")
    here = owner().split(":")
    if not here[0] or not boot:
        return False
    if boot != here[0]:
        return True
    return namespace == here[1] and _start(int(process)) != start


@lru_cache(maxsize=2)
def _owner(process: int) -> str:
    return f"{_boot()}:{_namespace()}:{process}:{_start(process)}"


def _boot() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str((PROC / "self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _start(process: int) -> str:
    """When a process began, in ticks since boot (field 22 of proc(5) stat); empty for none, and for a zombie."""
    try:
        fields = (PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = fields.rpartition(")")[2].split()
    return "" if state in {"Z", "X"} else rest[18]
