"""A look at the budgets in Redis: plain reads, bounded, without the store's script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.budget.look import ACCOUNTS, CALLS, Look, Reserved, Wanted, gathered, summed
from adaptive_middleware.budget.redis_store import client_at, unavailable
from adaptive_middleware.budget.store import Balance

_HOLDS = 1000


@dataclass(frozen=True, slots=True)
class RedisLook:
    """Looks at what every `RedisStore` with this `prefix` has counted; `client` is a `redis.Redis`."""

    client: Any
    prefix: str

    @classmethod
    def at(cls, url: str, *, prefix: str = "adaptive-budget", seconds: float = 2.0) -> RedisLook:
        """At a `redis://` address; raises `ConfigError` as `RedisStore.at`."""
        return cls(client_at(url, seconds), f"{{{prefix}}}")

    def look(self, wanted: Wanted) -> Look:
        """What the server says now; raises `BudgetUnavailable`. Reservations are those whose leases end first."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - an extra

        try:
            known = sorted(key.decode() for key in self.client.smembers(f"{self.prefix}:accounts"))
            keys = [key for key in known if wanted(key)]
            calls = list(self._reserved())
            return Look(
                self._balances(keys[:ACCOUNTS]),
                max(len(keys) - ACCOUNTS, 0),
                tuple(calls[:CALLS]),
                len(calls),
            )
        except RedisError as error:
            raise unavailable(error) from error

    def _balances(self, keys: Sequence[str]) -> dict[str, Balance]:
        asked = self.client.pipeline(transaction=False)
        for key in keys:
            asked.hmget(f"{self.prefix}:account:{key}", "settled", "held")
        found = zip(keys, asked.execute(), strict=True)
        return {
            key: Balance(int(settled or 0), int(held)) for key, (settled, held) in found if held is not None
        }

    def _reserved(self) -> Iterator[Reserved]:
        """Calls by the end of their first lease; holds that end later than the first thousand are not seen."""
        leases = dict(self.client.zrange(f"{self.prefix}:leases", 0, _HOLDS - 1, withscores=True))
        seconds, fraction = self.client.time()
        asked = self.client.pipeline(transaction=False)
        for name in leases:
            asked.hgetall(f"{self.prefix}:hold:{name.decode()}")
        found = [
            (name.decode(), (leases[name], of))
            for name, of in zip(leases, asked.execute(), strict=True)
            if of
        ]
        for call, holds in gathered(found).items():
            ends = min(lease for lease, _ in holds) - seconds - fraction / 1e6
            yield Reserved(call, len(holds), summed(line for _, of in holds for line in _lines(of)), ends)


def _lines(hold: dict[bytes, bytes]) -> Iterator[tuple[str, int]]:
    for i in range(1, int(hold.get(b"lines", b"0")) + 1):
        yield hold[b"account:%d" % i].decode(), int(hold[b"held:%d" % i])
