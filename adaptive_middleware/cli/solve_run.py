"""What `solve` runs: the tasks read, the model and its checks made, and the run with its progress."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptive_middleware.cli.solve_shown import Watcher
from adaptive_middleware.code.program import program_of
from adaptive_middleware.collect.journal import Journal
from adaptive_middleware.config import Config, load
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.ports import Verifier
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_http import OpenAISampler
from adaptive_middleware.sampling.openai_stream import OpenAIStream
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.solving.run import Asked, Work, solve, write
from adaptive_middleware.solving.tasks import Task, fingerprint, read_tasks
from adaptive_middleware.verify.lasting import Lasting
from adaptive_middleware.verify.sandbox.choose import sandbox
from adaptive_middleware.verify.sandbox.limits import Sandbox
from adaptive_middleware.verify.unit_tests import unit_tests


@dataclass(frozen=True, slots=True)
class Ordered:
    """The command's options: files, how the model samples, and how much at once."""

    tasks: Path
    config: Path
    out: Path
    sampling: Mapping[str, Any]
    limit: int | None
    concurrency: int
    seconds: float
    tier: str
    no_sandbox: bool
    resume: bool
    runs: int = 1


def run(ordered: Ordered) -> dict[str, Any]:
    """Answer what is left of the tasks, write the files, and return the report. Raises what the parts raise."""
    tasks = read_tasks(ordered.tasks)[: ordered.limit]
    config = load(ordered.config)
    place = _endpoint(config, ordered)
    where = sandbox(ordered.tier, no_sandbox=ordered.no_sandbox)
    asked = Asked(
        place.model,
        OpenAISampler(place),
        lambda boundary: StepStreamer(OpenAIStream(place), boundary=boundary),
    )
    identity = _identity(ordered, tasks, place)
    with (
        Journal(ordered.out, identity, resume=ordered.resume) as journal,
        Watcher(len(tasks)) as watcher,
        Lasting(ordered.concurrency) as lasting,
    ):
        watcher.begin(journal)
        checks = {task.id: _check(ordered, task, where, lasting) for task in tasks}
        work = Work(config, asked, checks, _program, ordered.concurrency, watcher.tell)
        report = solve(tasks, work, journal)
        write(ordered.out, tasks, journal.units, report)
    return report


def _check(ordered: Ordered, task: Task, where: Sandbox, lasting: Lasting) -> Verifier:
    return unit_tests(task.asserts, ordered.seconds, runs=ordered.runs, where=where, lasting=lasting)


def _program(task: Task, text: str) -> str:
    return program_of(text, task.prompt, task.entry)


def _endpoint(config: Config, ordered: Ordered) -> Endpoint:
    upstream = config.settings.upstream
    if upstream is None:
        message = "there is nobody to ask: add `upstream: {base_url: http://host:port/v1}`"
        raise ConfigError(message, file=str(ordered.config))
    name = upstream.key_env
    key = "" if name is None else os.environ.get(name, "").strip()
    if name is not None and not key:
        message = f"the environment variable {name} is not set: put the upstream's key there"
        raise config.refused(("upstream", "key_env"), message)
    return Endpoint(upstream.base_url, key=key, timeout=upstream.timeout, **ordered.sampling)


def _identity(ordered: Ordered, tasks: list[Task], place: Endpoint) -> dict[str, Any]:
    """What makes two runs the same one: the tasks, the configuration, the model and how it samples."""
    config = hashlib.sha256(ordered.config.read_bytes()).hexdigest()
    return {"tasks": fingerprint(tasks), "config": config, "base_url": place.base_url, **ordered.sampling}
