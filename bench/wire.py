"""What the transport adds to an SDK call and the proxy to a direct one, over loopback.

The provider is a fake server in a process of its own, the proxy is another; each figure compares medians of cases
that alternate in one run. `python -m bench.overhead --json` prints them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.transport.httpx2 import AsyncAdaptiveTransport
from bench.loopback import proxy_process, upstream_process
from bench.overhead import Case, medians
from bench.posting import INSTANT, MESSAGES, POLICIES, SLOW, post, together


@asynccontextmanager
async def sdk(url: str, transport: AsyncAdaptiveTransport | None = None) -> AsyncIterator[Case]:
    """A call by the OpenAI SDK, as its users make it."""
    async with (
        DefaultAsyncHttpxClient(transport=transport) as http,
        AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0) as client,
    ):
        yield lambda: client.chat.completions.create(model=INSTANT, messages=MESSAGES)  # type: ignore[arg-type]


async def transport(url: str, repeats: int) -> dict[str, float]:
    """`transport_vs_sdk`: a call with one sample through the transport, in units of the bare call."""
    one = AsyncAdaptiveTransport(Middleware(best_of_n(fixed(1), score=False)))
    passing = AsyncAdaptiveTransport(Middleware())
    # the first client of a process pays for what the later ones find ready
    async with sdk(url) as unused, sdk(url) as bare, sdk(url, one) as ours, sdk(url, passing) as passed:
        cases = {"unused": unused, "bare": bare, "ours": ours, "passed": passed}
        took = await medians(cases, repeats)
    return {
        "transport_vs_sdk": took["ours"] / took["bare"],
        "transport_pass_through_vs_sdk": took["passed"] / took["bare"],
    }


async def proxy(url: str, repeats: int) -> dict[str, float]:
    """`proxy_added_ms`: milliseconds for one sample; `proxy_n8_vs_direct`: a call with eight over a direct one.

    The provider answers at once, so that its own work for eight answers counts, too. Eight are one request with `n`
    (`use_n`), or eight requests (`proxy_n8_apart_vs_direct`), of which `eight_direct_vs_direct` is the least that they
    can take, and `proxy_n8_apart_vs_eight_direct` what the proxy makes of that. With `slow` the provider takes 20 ms.
    """
    with proxy_process(url, POLICIES) as base, proxy_process(url, POLICIES, use_n=True) as shared:
        async with httpx2.AsyncClient() as http:
            direct = post(http, url, INSTANT)
            cases = {
                "unused": post(http, base, INSTANT),
                "direct": direct,
                "passed": post(http, base, INSTANT),
                "one": post(http, base, f"{INSTANT}@one"),
                "eight": post(http, shared, f"{INSTANT}@eight"),
                "apart": post(http, base, f"{INSTANT}@eight"),
                "eight_direct": together(direct, 8),
            }
            slow = {"direct": post(http, url, SLOW), "apart": post(http, base, f"{SLOW}@eight")}
            took, late = await medians(cases, repeats), await medians(slow, max(repeats // 5, 1))
    return {
        "proxy_added_ms": (took["one"] - took["direct"]) / 1000,
        "proxy_pass_through_added_ms": (took["passed"] - took["direct"]) / 1000,
        "proxy_n8_vs_direct": took["eight"] / took["direct"],
        "proxy_n8_apart_vs_direct": took["apart"] / took["direct"],
        "eight_direct_vs_direct": took["eight_direct"] / took["direct"],
        "proxy_n8_apart_vs_eight_direct": took["apart"] / took["eight_direct"],
        "proxy_n8_apart_vs_direct_slow": late["apart"] / late["direct"],
    }


async def wire(repeats: int = 60) -> dict[str, float]:
    """All figures of this page, by one fake provider."""
    with upstream_process() as url:
        return {**await transport(url, repeats), **await proxy(url, repeats)}
