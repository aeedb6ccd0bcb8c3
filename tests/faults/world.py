"""What fault cases share: calls with a deadline that is watched, what observers were told, and real processes to harm."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TypeVar

from adaptive_middleware.types import Outcome, Path, Request, StepScores

T = TypeVar("T")
LATE = 0.5
"""Seconds after its deadline within which a call must have ended, on a machine with other work."""


@dataclass
class Told:
    """An observer: the one record that each call leaves, as a trace store would keep it."""

    outcomes: list[Outcome] = field(default_factory=list)

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        self.outcomes.append(outcome)

    @property
    def causes(self) -> tuple[str, ...]:
        """Why the last call was degraded."""
        return self.outcomes[-1].degraded


@contextmanager
def within(seconds: float) -> Iterator[float]:
    """The instant of a deadline; what runs inside must have ended by then."""
    ends = time.monotonic() + seconds
    yield ends
    assert time.monotonic() <= ends + LATE, "the call did not end at its deadline"


async def alone(work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, after which no task of it may be left."""
    before = asyncio.all_tasks()
    result = await work()
    left = asyncio.all_tasks() - before
    assert not left, f"tasks are left: {left}"
    return result


def flat(values: Sequence[float]) -> Callable[[Request, Sequence[Path]], list[StepScores]]:
    """A scoring that says the same of every path."""
    return lambda _request, paths: [StepScores(tuple(values)) for _ in paths]


@contextmanager
def process(
    folder: FilePath, command: str, config: str, *options: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real `adaptive-middleware` server and its address."""
    file = folder / f"{command}.yaml"
    file.write_text(config)
    code = "from adaptive_middleware.cli import main; main()"
    arguments = [command, "--config", str(file), "--port", "0", "--json", *options]
    started = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert started.stdout is not None
    try:
        line = started.stdout.readline()
        assert line, started.stderr.read() if started.stderr else ""
        yield started, json.loads(line)["url"]
    finally:
        started.kill()
        started.communicate()
