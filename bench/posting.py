"""The call that gateways are measured with: the cheapest client there is, so that what stands before it weighs most."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx2

from bench.overhead import Case

MESSAGES = [{"role": "user", "content": "What is 2 + 2?"}]
INSTANT, SLOW = "fake+arithmetic", "fake+arithmetic+delay=20"


def best_of(n: int) -> dict[str, object]:
    """A rule, chosen by name, that draws n answers whatever they are."""
    policy = {"kind": "fixed", "n": n}
    return {"when": {"tags": [f"n{n}"]}, "strategy": "best-of-n", "policy": policy, "max_samples": n}


POLICIES: dict[str, object] = {
    "one": best_of(1),
    "eight": best_of(8),
    "default": {"strategy": "pass-through"},
}


def post(http: httpx2.AsyncClient, base: str, model: str, headers: Mapping[str, str] | None = None) -> Case:
    """A chat completion that fails loudly."""
    body = {"model": model, "messages": MESSAGES}

    async def call() -> object:
        reply = await http.post(f"{base}/chat/completions", json=body, headers=dict(headers or {}))
        return reply.raise_for_status()

    return call


def together(case: Case, n: int) -> Case:
    """The same call n times at the same moment: the least that n answers can take."""

    async def calls() -> object:
        return await asyncio.gather(*(case() for _ in range(n)))

    return calls
