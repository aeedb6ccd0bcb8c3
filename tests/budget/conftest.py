"""The stores that every promise is tested on: memory, SQLite, and a real Redis where it is installed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.redis_store import RedisStore
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import BudgetStore
from adaptive_middleware.testing.redis_server import redis_server

PREFIXES = itertools.count()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    pytest.importorskip("redis", reason="the package redis is not installed (extra redis)")
    with ExitStack() as stack:
        try:
            url = stack.enter_context(redis_server())
        except FileNotFoundError as error:
            pytest.skip(str(error))
        yield url


@pytest.fixture
def redis_store(redis_url: str) -> Iterator[RedisStore]:
    store = RedisStore.at(redis_url, prefix=f"t{next(PREFIXES)}")
    yield store
    store.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "budget.db")
    yield store
    store.close()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> BudgetStore:
    if request.param == "memory":
        return MemoryStore()
    found: BudgetStore = request.getfixturevalue(f"{request.param}_store")
    return found
