"""A run: the plan of a shape carried out on a machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch

from adaptive_middleware.scoring.device import Device
from adaptive_middleware.scoring.heads import StepModel
from bench.scoring.clients import Served, serve
from bench.scoring.machine import Machine, fast_dtype, measure_peak
from bench.scoring.measure import Figures, Reference, Scale, Timing, figures, last_batch, measure
from bench.scoring.plans import GATED, STANDARD, WHOLE, Case, Plan, plan
from bench.scoring.pooling import SKIPPED, served, through_http
from bench.scoring.report import About, Gate, Report, pairs
from bench.scoring.shapes import Shape, build, precise
from bench.scoring.ways import WAYS, Engine, Models
from bench.scoring.workload import Setting, workload

Log = Callable[[str], object]
_KV_BYTES = 8 * 2**30
_WARM = Setting(2, 16, 16, 2)


@dataclass(frozen=True, slots=True)
class Bench:
    """The machine, the models on it, the float32 reference, and the scale of figures."""

    machine: Machine
    models: Models
    reference: StepModel
    scale: Scale
    vllm: str | None

    def timings(self, case: Case) -> list[Timing]:
        """The case's ways in turn; on a GPU once before, untimed, at the case's own sizes.

        The standard case takes the last forward of padded rescoring as its padded batch, which it is.
        """
        load = workload(case.setting)
        ways = [WAYS[name](self.models, load) for name in case.ways]
        if self.vllm and case.name == WHOLE:
            ways.append(through_http(self.vllm, load))
        if self.machine.gpu:
            measure(ways, self.machine.clock, 1)
        timings = measure(ways, self.machine.clock, case.rounds)
        if case.name != STANDARD:
            return timings
        return [*timings, *(last_batch(one, load) for one in timings if one.way.name == "rescoring, padded")]

    def lines(self, case: Case, timings: Sequence[Timing]) -> Iterator[Figures]:
        """The case's part of the table."""
        reference = Reference(self.reference, case.referenced)
        name = f"{case.name}: {case.setting}"
        return (figures(name, timing, self.scale, reference.gap(timing)) for timing in timings)

    def gate(self, setting: Setting) -> Gate:
        """The largest difference to float32 one by one: of float32 on a CPU, of the fast format on a GPU."""
        network = self.models.network if self.machine.gpu else self.reference
        models, load = Models(network, engine_of(network)), workload(setting)
        timings = measure([WAYS[name](models, load) for name in GATED], self.machine.clock, 1)
        reference = Reference(self.reference, setting.answers)
        gaps = {timing.way.name: reference.gap(timing) for timing in timings}
        return Gate(str(setting), plain(network.trunk.dtype), gaps)

    def crowds(self, todo: Plan, log: Log) -> Iterator[Served]:
        """Every crowd served every way."""
        for crowd in todo.crowds:
            log(f"B6: {crowd.clients} clients")
            yield from serve(crowd, self.models.engine, self.scale)


def run(shape: Shape, machine: Machine, *, quick: bool, log: Log) -> Report:
    """Carry out the plan; `log` is told what is being measured."""
    started = time.perf_counter()
    dtype = fast_dtype(machine)
    todo = plan(shape.name, gpu=machine.gpu, quick=quick, dtype=dtype)
    log(f"{shape.name}, {machine.about}, {plain(dtype)}")
    with opened(shape, machine, dtype, rival=bool(todo.cases), log=log) as bench:
        gate = bench.gate(todo.gate)
        found = []
        for case in (todo.standard, *todo.cases):
            log(f"{case.name}: {case.setting}")
            found.append((case, bench.timings(case)))
        crowds = tuple(bench.crowds(todo, log))
        log("differences to float32, one by one")
        rows = tuple(line for case, timings in found for line in bench.lines(case, timings))
        peak, vllm = bench.scale.peak, bench.vllm
    about = About(machine, shape.name, quick, plain(dtype), str(todo.standard.setting), peak)
    notes = (SKIPPED,) if todo.cases and not vllm else ()
    return Report(about, gate, pairs(found[0][1]), rows, crowds, notes, time.perf_counter() - started)


@contextmanager
def opened(shape: Shape, machine: Machine, dtype: torch.dtype, *, rival: bool, log: Log) -> Iterator[Bench]:
    """The models of a shape, and a rival that serves the same.

    The peak is measured before they take memory, and every way is run once.
    """
    scale = Scale(shape, measure_peak(machine, dtype), dtype)
    network = build(shape, machine.place, dtype)
    models = Models(network, engine_of(network))
    measure([make(models, workload(_WARM)) for make in WAYS.values()], machine.clock, 1)
    with served(network, log) if rival else nullcontext() as vllm:
        yield Bench(machine, models, precise(network), scale, vllm)


def engine_of(network: StepModel) -> Engine:
    """Opens devices over a network, with room for every case."""
    return partial(Device, network, kv_bytes=_KV_BYTES)


def plain(dtype: torch.dtype) -> str:
    """The name as it is written in a configuration.

    >>> plain(torch.bfloat16)
    'bfloat16'
    """
    return str(dtype).removeprefix("torch.")
