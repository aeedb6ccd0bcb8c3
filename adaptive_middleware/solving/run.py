"""Tasks answered side by side, each written down when it is finished; what is written down is never asked again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

from adaptive_middleware.atomic import replace_file
from adaptive_middleware.collect.journal import Journal
from adaptive_middleware.config.build import Config
from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.ports import Sampler, Streamer, Verifier
from adaptive_middleware.solving.solved import Program, summary, unit
from adaptive_middleware.solving.tasks import Task
from adaptive_middleware.steps import Boundary
from adaptive_middleware.types import Outcome, Request, Verdict
from adaptive_middleware.verify.task_tests import task_tests

IN_A_ROW = 5
"""Failures in a row after which nothing more is begun: an endpoint that is down fails every task."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The model that tasks are put to: samples, and answers read step by step with a boundary of steps."""

    model: str
    sampler: Sampler
    streamer: Callable[[Boundary], Streamer]


@dataclass(frozen=True, slots=True)
class Work:
    """Everything that a run needs beside its tasks; `verifiers` has one for each of them, by id."""

    config: Config
    asked: Asked
    verifiers: Mapping[str, Verifier]
    program: Program
    concurrency: int = 4
    tell: Callable[[Task, Mapping[str, Any] | AdaptiveError], None] = lambda _task, _result: None


def solve(tasks: Sequence[Task], work: Work, journal: Journal) -> dict[str, Any]:
    """Answer what the journal lacks, and return the summary of all.

    A task that fails (the model cannot be reached, a limit leaves no answer) is noted, and left for a later run. After
    `IN_A_ROW` failures in a row nothing more is begun, and the last error is raised.
    """
    plan = work.config.build(task_tests(work.verifiers))
    middleware = Middleware(
        rules=plan.rules, scorer=plan.scorer, verifier=plan.verifier, observers=plan.observers
    )
    left = [task for task in tasks if journal.get(task.id) is None]
    failed = in_a_row = 0
    with ThreadPoolExecutor(work.concurrency, thread_name_prefix="adaptive-solve") as pool:
        running = {pool.submit(_answered, task, work, middleware): task for task in left}
        try:
            for future in as_completed(running):
                task, result = running[future], future.result()
                _kept(journal, task, result)
                work.tell(task, result)
                in_a_row = in_a_row + 1 if isinstance(result, AdaptiveError) else 0
                failed += isinstance(result, AdaptiveError)
                if isinstance(result, AdaptiveError) and in_a_row >= min(IN_A_ROW, len(left)):
                    raise result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return summary(tasks, journal.units, failed)


def write(out: File, tasks: Sequence[Task], units: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    """`samples.jsonl` (task_id and completion, as HumanEval's own evaluation reads it) and `report.json`."""
    lines = [
        json.dumps({"task_id": task.id, "completion": units[task.id]["completion"]})
        for task in tasks
        if task.id in units
    ]
    replace_file(out / "samples.jsonl", "".join(f"{line}\n" for line in lines).encode())
    replace_file(out / "report.json", (json.dumps(report, indent=1, allow_nan=False) + "\n").encode())


def _answered(task: Task, work: Work, middleware: Middleware) -> dict[str, Any] | AdaptiveError:
    message = {"role": "user", "content": task.question}
    request = Request(
        task.question, messages=(message,), model=work.asked.model, call_site="solve", run_id=task.id
    )
    streamer = work.asked.streamer(middleware.rule(request).boundary)
    began = time.monotonic()
    try:
        outcome = middleware.run(request, work.asked.sampler, streamer=streamer)
        verdict = _verdict(outcome) or work.verifiers[task.id].verify(request, [outcome.chosen])[0]
    except AdaptiveError as error:
        return error
    return unit(task, outcome, verdict, time.monotonic() - began, work.program)


def _verdict(outcome: Outcome) -> Verdict | None:
    """What the tests said of the chosen answer in the call itself, where they decided."""
    known = None if outcome.choice is None else outcome.considered[outcome.choice.index].verdict
    return known if known is not None and known.passed is not None else None


def _kept(journal: Journal, task: Task, result: Mapping[str, Any] | AdaptiveError) -> None:
    if isinstance(result, AdaptiveError):
        journal.note("failed", {"task": task.id, "cause": f"{type(result).__name__}: {result}"})
    else:
        journal.put(task.id, result)
