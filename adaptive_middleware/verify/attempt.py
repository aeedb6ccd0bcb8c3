"""Somebody else's code, called so that whatever it raises is a value."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failed:
    """What was raised, `SystemExit` included."""

    error: BaseException

    @property
    def cause(self) -> str:
        """Type and message, on one line."""
        return " ".join(f"{type(self.error).__name__}: {self.error}".split())


def attempt(call: Callable[[], T]) -> T | Failed:
    """What `call` returns, or what it raised; it runs in a thread of its own, which is waited for.

    >>> attempt(lambda: 1 / 0).cause
    'ZeroDivisionError: division by zero'
    """
    with ThreadPoolExecutor(1, thread_name_prefix="adaptive-attempt") as pool:
        future = pool.submit(call)
    error = future.exception()
    return future.result() if error is None else Failed(error)
