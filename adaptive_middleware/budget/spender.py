"""Who spends: the tenant and the run that a call belongs to, known to all that is started from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spender:
    """The tenant and the run of the current call; None where nobody said."""

    tenant: str | None = None
    run: str | None = None


_CURRENT: ContextVar[Spender] = ContextVar("spender", default=Spender())  # noqa: B039 - frozen


def spender() -> Spender:
    """Who spends here."""
    return _CURRENT.get()


@contextmanager
def spending(*, tenant: str | None = None, run: str | None = None) -> Iterator[Spender]:
    """Count all calls in this block for `tenant` and `run`; what is not given stays as it was outside.

    Tasks and `asyncio.to_thread` inherit it from where they are started; a thread of your own does with `carried`.

    >>> with spending(tenant="acme"), spending(run="job-7"):
    ...     spender()
    Spender(tenant='acme', run='job-7')
    """
    outer = _CURRENT.get()
    inner = Spender(outer.tenant if tenant is None else tenant, outer.run if run is None else run)
    token = _CURRENT.set(inner)
    try:
        yield inner
    finally:
        _CURRENT.reset(token)


def carried(function: Callable[P, T]) -> Callable[P, T]:
    """The function, run for the spender of this place wherever it is called: the target of a thread.

    It may be called by several threads at once.
    """
    here = _CURRENT.get()

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        def counted() -> T:
            _CURRENT.set(here)
            return function(*args, **kwargs)

        return copy_context().run(counted)

    return call
