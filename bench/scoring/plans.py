"""What is measured: one standard case that gives the ratios, and around it the cases of a full table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from bench.scoring.clients import Crowd
from bench.scoring.workload import Setting

STANDARD, WHOLE = "standard", "B3"
GATED = ("padded batch", "packed", "shared prompt", "incremental")
_ORDER = (
    "incremental",
    "shared prompt",
    "one by one",
    "rescoring, padded",
    "packed",
    "shared prompt",
    "incremental",
)
"""The cheap ways twice in each round: what is divided by is measured most."""
_ONCE = ("one by one", "padded batch", "packed", "shared prompt")
_STEPWISE = ("rescoring, padded", "rescoring, shared prompt", "incremental")
_LARGE = ("1.5b", "7b")


@dataclass(frozen=True, slots=True)
class Case:
    """Ways that are measured on one setting, in this order, so many rounds; `referenced` rows are checked."""

    name: str
    setting: Setting
    ways: tuple[str, ...]
    rounds: int
    referenced: int = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """The standard case, further cases, crowds of clients, and the setting on which float32 scores are compared."""

    standard: Case
    gate: Setting
    cases: tuple[Case, ...] = ()
    crowds: tuple[Crowd, ...] = ()


def plan(shape: str, *, gpu: bool, quick: bool, dtype: torch.dtype) -> Plan:
    """The plan of a shape on a kind of device.

    A CPU without fast bfloat16 gets half the answers in the standard case; a large shape on a CPU gets a
    small one and nothing else, so that the scripts can be tried where there is no GPU.
    """
    standard = Case(STANDARD, Setting(8, 256, 128, 4), _ORDER, 5 if gpu else 1, 8 if gpu else 1)
    gate = Setting(4, 64, 32, 3, ragged=True)
    if shape == "tiny":
        standard = replace(standard, setting=Setting(4, 16, 8, 2))
        return Plan(standard, gate) if quick else Plan(standard, gate, _tiny_cases(), (Crowd(2, 16, 4, 3),))
    if gpu:
        return Plan(standard, gate) if quick else Plan(standard, gate, _gpu_cases(), _crowds(32))
    if shape in _LARGE:
        return Plan(replace(standard, setting=Setting(2, 64, 32, 2)), replace(gate, answers=2, steps=2))
    if dtype is torch.float32:
        standard = replace(standard, setting=replace(standard.setting, answers=4))
    return (
        Plan(standard, gate) if quick else Plan(replace(standard, rounds=2), gate, _cpu_cases(), _crowds(16))
    )


def _gpu_cases() -> tuple[Case, ...]:
    stepwise = (
        Case(f"B4 S={steps}", Setting(16, 256, 512, steps, ragged=True), _STEPWISE, 3, 4)
        for steps in (5, 10, 20, 40)
    )
    return (
        Case(WHOLE, Setting(16, 256, 512, 4, ragged=True), _ONCE, 7, 16),
        *stepwise,
        Case("B5", Setting(16, 4096, 128, 4, ragged=True), _ONCE, 3, 2),
    )


def _cpu_cases() -> tuple[Case, ...]:
    stepwise = (
        Case(f"B4 S={steps}", Setting(8, 256, 128, steps, ragged=True), _STEPWISE, 1) for steps in (8, 16)
    )
    return (
        Case(WHOLE, Setting(16, 256, 512, 4, ragged=True), _ONCE, 2),
        *stepwise,
        Case("B5", Setting(8, 4096, 128, 4, ragged=True), ("padded batch", "shared prompt"), 1, 1),
    )


def _tiny_cases() -> tuple[Case, ...]:
    setting = Setting(3, 16, 12, 3, ragged=True)
    return Case(WHOLE, setting, _ONCE, 2, 3), Case("B4 S=3", setting, _STEPWISE, 2, 3)


def _crowds(step: int) -> tuple[Crowd, ...]:
    """One to 64 clients, the fewer, the more rounds; one round more to warm up."""
    return tuple(Crowd(clients, 256, step, 1 + max(4, 32 // clients)) for clients in (1, 4, 16, 64))
