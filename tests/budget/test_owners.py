from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adaptive_middleware.budget import owners
from adaptive_middleware.budget.owners import died, machine, owner

ELSEWHERE = not Path("/proc/self/stat").exists()
linux = pytest.mark.skipif(ELSEWHERE, reason="processes are told apart by /proc")


def of(process: int, start: str) -> str:
    boot, namespace, _, _ = owner().split(":")
    return f"{boot}:{namespace}:{process}:{start}"


def test_this_process_has_not_ended() -> None:
    assert not died(owner())
    assert f":{os.getpid()}:" in owner()


@linux
def test_a_process_that_ended_has_and_also_when_its_number_is_used_again() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = owners._start(child.pid)
    assert start
    assert not died(of(child.pid, start))
    assert died(of(child.pid, "1")), "another process had this number"
    child.communicate(b"\n")
    assert died(of(child.pid, start))


@linux
def test_a_zombie_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert owners._start(child.pid) == ""
    child.communicate()


@linux
def test_another_boot_has_ended_and_another_namespace_cannot_be_told() -> None:
    boot, namespace, process, start = owner().split(":")
    assert died(f"earlier{boot}:{namespace}:{process}:{start}")
    assert not died(f"{boot}:{namespace}7:999999999:{start}")


def test_without_proc_nothing_can_be_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(owners, "PROC", tmp_path)
    owners._owner.cache_clear()
    try:
        assert owner() == f"::{os.getpid()}:"
        assert machine(owner()) == ""
        assert not died("some boot:1:2:3")
    finally:
        owners._owner.cache_clear()
