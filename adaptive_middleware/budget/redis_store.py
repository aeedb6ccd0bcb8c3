"""The store of many machines: accounts in Redis, changed by one script that runs at once or not at all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from adaptive_middleware.budget.store import Ask, Balance, Grant, Line, Settlement
from adaptive_middleware.errors import BudgetUnavailable, ConfigError

HEALED_KEPT = 86_400


class RedisStore:
    """Exact for every process that uses the same server and `prefix`; leases are measured by the server's clock.

    `client` is a `redis.Redis`; `at` makes one. How much of it outlives a crash of the server is the server's own
    configuration (`appendfsync`). The script touches keys of one hash slot only, so a cluster runs it too.
    """

    waits = True
    shared = True

    def __init__(self, client: Any, *, prefix: str = "adaptive-budget") -> None:  # noqa: ANN401 - redis is optional
        from redis.exceptions import RedisError  # noqa: PLC0415 - an extra

        self._client = client
        self._failed: type[Exception] = RedisError
        self._prefix = f"{{{prefix}}}"
        script = files(__package__).joinpath("redis.lua").read_text(encoding="utf-8")
        self._script = client.register_script(script)

    @classmethod
    def at(cls, url: str, *, prefix: str = "adaptive-budget", seconds: float = 5.0) -> RedisStore:
        """The store at a `redis://` address; raises `ConfigError` without the package `redis`, or for no address."""
        return cls(client_at(url, seconds), prefix=prefix)

    def reserve(self, ask: Ask) -> Grant:
        """Take as many of the holds as all accounts have room for; expired holds are healed first."""
        lines = [
            value
            for line in ask.lines
            for value in (line.account, line.limit, line.each, line.floor, _seconds(line))
        ]
        taken, short, *free = self._run("reserve", f"{ask.lease:.6f}", len(ask.lines), *lines, *ask.holds)
        return Grant(ask.holds[: int(taken)], short.decode() or None, tuple(map(int, free)))

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Close holds. One that is closed already, or was never taken, is left alone."""
        words: list[str | int] = []
        for one in settlements:
            words += [one.hold, -1] if one.spent is None else [one.hold, len(one.spent), *one.spent]
        self._run("settle", *words)

    def balances(self, accounts: Sequence[str]) -> list[Balance]:
        """The balance of each account, in order; zero for an unknown one."""
        numbers = [int(number) for number in self._run("balances", *accounts)]
        return [Balance(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]

    def accounts(self) -> dict[str, Balance]:
        """Every account that is remembered, with its balance."""
        keys = sorted(key.decode() for key in self._run("accounts"))
        return dict(zip(keys, self.balances(keys), strict=True))

    def heal(self) -> int:
        """Settle to their floors the holds whose lease ran out; how many these were."""
        return int(self._run("heal"))

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._client.close()

    def _run(self, *words: str | int) -> Any:  # noqa: ANN401 - what the script answers
        try:
            return self._script(keys=[self._prefix], args=[*words[:1], HEALED_KEPT, *words[1:]])
        except self._failed as error:
            raise unavailable(error) from error


def client_at(url: str, seconds: float) -> Any:  # noqa: ANN401 - redis is optional
    """A client for a `redis://` address; raises `ConfigError` without the package `redis`, or for no address."""
    try:
        from redis import Redis  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = "budgets in Redis need the package 'redis': pip install 'adaptive-middleware[redis]'"
        raise ConfigError(message) from error
    try:
        return Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
    except ValueError as error:
        message = f"the address of the budgets' Redis cannot be used: {error}"
        raise ConfigError(message) from error


def unavailable(error: Exception) -> BudgetUnavailable:
    """What callers are told of an error of the server."""
    return BudgetUnavailable(
        f"the budgets' Redis cannot be used: {error}; check that it runs and can be reached"
    )


def _seconds(line: Line) -> int:
    """For how long an account is kept from now on; two days at least, so that no clock of a client deletes one."""
    return max(int(line.expires - time.time()), 2 * HEALED_KEPT)
