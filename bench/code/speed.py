"""What one verification takes, and how many there are in a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from adaptive_middleware.verify.judge import Judge
from adaptive_middleware.verify.sandbox.limits import Limits, Sandbox
from adaptive_middleware.verify.sandbox.warm import warm
from bench.code.tasks import Task

_PAUSE = 0.05


def cold(sandbox: Sandbox, tasks: Sequence[Task]) -> float:
    """Median milliseconds to a verdict with a new sandbox for the answer and one that is kept for tests."""
    judge = Judge(sandbox)
    try:
        return _median(judge, tasks, 0.0)
    finally:
        judge.close()


def ready(sandbox: Sandbox, tasks: Sequence[Task]) -> float:
    """Median milliseconds to a verdict with sandboxes that wait; there is a pause between answers, in which they start."""
    with warm(sandbox, Limits()) as waiting:
        judge = Judge(waiting)
        try:
            return _median(judge, tasks, _PAUSE)
        finally:
            judge.close()


def per_second(sandbox: Sandbox, tasks: Sequence[Task], workers: int = 4) -> float:
    """Verifications a second by `workers` threads, each answer in a sandbox of its own that is started meanwhile."""
    with warm(sandbox, Limits(), workers) as waiting, ThreadPoolExecutor(workers) as pool:
        judge = Judge(waiting)
        list(pool.map(lambda task: judge.asserts(task.solution, task.asserts), tasks))
        began = time.perf_counter()
        list(pool.map(lambda task: judge.asserts(task.solution, task.asserts), tasks))
        took = time.perf_counter() - began
        judge.close()
    return len(tasks) / took


def _median(judge: Judge, tasks: Sequence[Task], pause: float) -> float:
    """Each task twice; the second time counts: whether its tests are useless is known then."""
    took = []
    for task in tasks:
        for counts in (False, True):
            time.sleep(pause)
            began = time.perf_counter()
            judge.asserts(task.solution, task.asserts)
            if counts:
                took.append(time.perf_counter() - began)
    return 1000 * statistics.median(took)
