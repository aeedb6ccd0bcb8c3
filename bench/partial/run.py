"""The whole comparison: recorded samples replayed, beams drawn live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from transformers import Qwen2Config

from adaptive_middleware import lab, pretrained
from adaptive_middleware.calibration import bundle
from adaptive_middleware.lab.problems import stories
from adaptive_middleware.recording import Problem
from adaptive_middleware.scoring.device import Device
from adaptive_middleware.scoring.local import open_model
from adaptive_middleware.strategies.beam import beam
from bench.allocation.curve import Floats
from bench.allocation.rows import resamples
from bench.lab import paths, text
from bench.lab.sampler import load
from bench.partial import beams, replayed
from bench.partial.beams import Live
from bench.partial.flops import Model
from bench.partial.table import Beside, Row, chosen, row

BEAMS = ((4, 2), (8, 2), (16, 4), (32, 4))
Log = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: orders of each problem, problems (all without a number), and live beams (samples, fan-out)."""

    repeats: int = 4
    problems: int | None = None
    beams: tuple[tuple[int, int], ...] = BEAMS


def rows(size: Size, log: Log) -> list[Row]:
    """Every rule's row; `log` is told what is being run."""
    torch.set_num_threads(1)
    opened = open_model(lab.PRM)
    recorded = replayed.open_lab(opened.family.layout, size.repeats, size.problems)
    reference = replayed.figures(recorded, replayed.REFERENCE)[0]
    beside = _beside(opened.network.trunk.config, reference, recorded.problems)
    made = partial(row, beside=beside)
    ids = [problem.id for problem in recorded.problems]
    found = []
    for rule in replayed.RULES:
        log(rule.name)
        found.append(made(rule.name, chosen(replayed.figures(recorded, rule), reference, ids)))
    asked = [problem for problem in stories("test") if problem.id in set(ids)]
    for name, strategy in _beams(size):
        log(name)
        sampler = load(str(paths.POLICY), 0, stops=[beams.newline()])
        device = Device(opened.network)  # nothing is known from another row's run
        live = Live(asked, sampler, opened.family, device)
        done, clock = beams.figures(live, strategy), live.clock
        device.close()
        found.append(made(name, done, time_share=clock.scoring / (clock.scoring + clock.drawing)))
    return found


def _beams(size: Size) -> Iterator[tuple[str, beam]]:
    calibrate = bundle.load(paths.SHIPPED / "calibration.json").calibration
    for samples, fanout in size.beams:
        for adapt in ("fixed", "k", "m"):
            strategy = beam(samples, fanout, adapt, calibrate=calibrate, score_question=False)
            yield f"beam {adapt}, N = {samples}, M = {fanout}", strategy


def _beside(judge: Qwen2Config, reference: Floats, problems: Sequence[Problem]) -> Beside:
    config = pretrained.load_config(pretrained.find(lab.POLICY))
    if not isinstance(config, Qwen2Config):
        message = f"the lab's policy is a {type(config).__name__}: its operations are counted for Qwen2 only"
        raise TypeError(message)
    prompt = float(np.mean([len(text.prompt(problem.question)) for problem in problems]))
    generator = Model.of(config, config.vocab_size * config.hidden_size)
    return Beside(reference, resamples(len(problems), 0), generator, Model.of(judge, 0), prompt)
