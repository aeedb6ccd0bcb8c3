"""A proxy on the loopback interface, and the OpenAI SDK as its client."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
from openai import OpenAI

from adaptive_middleware.config import load
from adaptive_middleware.proxy.app import Limits, application
from adaptive_middleware.proxy.configured import upstream_of
from adaptive_middleware.types import Path, Request, StepScores
from tests.server.threaded import running

THREE = {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 3}, "max_samples": 3}
POLICIES = {"three": {**THREE, "when": {"model": "three*"}}, "default": {"strategy": "pass-through"}}


class Late:
    """A scorer that needs longer for answers than their deadline allows."""

    id = "late"

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        if any(path.steps for path in paths):
            time.sleep(1)
        return [StepScores((0.5,) * max(len(path.steps), 1)) for path in paths]


@contextmanager
def proxied(
    upstream: str,
    policies: dict[str, Any] | None = None,
    *,
    key: str | None = None,
    key_env: str | None = None,
    limits: Limits | None = None,
    timeout: float = 600.0,
    **config: Any,
) -> Iterator[str]:
    """The address of a proxy before `upstream`, without `/v1`."""
    place = {"base_url": upstream, "timeout": timeout} | ({} if key_env is None else {"key_env": key_env})
    read = load({"version": 1, "upstream": place, "policies": policies or POLICIES, **config})
    made = upstream_of(read, keyed=key is not None)
    with running(application(read.build(), made, key=key, limits=limits)) as url:
        yield url


@contextmanager
def sdk(url: str, key: str = "client-key", **options: Any) -> Iterator[OpenAI]:
    """The OpenAI SDK, pointed at a proxy."""
    with (
        httpx2.Client() as http,
        OpenAI(base_url=f"{url}/v1", api_key=key, http_client=http, max_retries=0, **options) as client,
    ):
        yield client
