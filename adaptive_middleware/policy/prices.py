"""What a draw costs: prompt, answers, process reward model and waiting, in one unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptive_middleware.types import Usage


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of one token of each sort, and of one round trip (`call`: the waiting), all >= 0 and in one unit.

    By default that unit is one completion token, and everything else is free. `cached` is for prompt tokens that
    the provider had in its cache. In dollars per token, `draw_cost` is in dollars.
    """

    completion: float = 1.0
    prompt: float = 0.0
    cached: float = 0.0
    prm: float = 0.0
    call: float = 0.0


def draw_cost(
    prices: Prices, past: Sequence[Usage], k: int, *, first: bool = False, requests: int = 1
) -> float:
    """What a draw of `k` (>= 1) samples is expected to cost, by the usage of the `past` samples of this call.

    A sample's answer and its process reward model tokens cost what they did in the mean of `past`. The
    prompt is paid once for each of the `requests` that the draw takes: 1 where the provider gives `k` answers to
    one prompt, else `k`. Its length is the mean over past requests; as many of its tokens as ever before
    come from the provider's cache, none when this is the `first` draw. Parallel requests are one round trip.
    Without `past` only that is known.

    >>> prices = Prices(completion=1.0, prompt=0.25, cached=0.025, prm=0.05, call=20)
    >>> past = [Usage(prompt_tokens=400, completion_tokens=100, cached_tokens=320, prm_tokens=200, requests=1)]
    >>> draw_cost(prices, past, 1), draw_cost(prices, past, 4), draw_cost(prices, past, 1, first=True)
    (158.0, 488.0, 230.0)
    """
    total = sum(past, Usage())
    prompt = total.prompt_tokens / max(total.requests, 1)
    cached = 0.0 if first else min(max((usage.cached_tokens for usage in past), default=0), prompt)
    sample = prices.completion * total.completion_tokens + prices.prm * total.prm_tokens
    once = prices.prompt * (prompt - cached) + prices.cached * cached
    return prices.call + requests * once + k * sample / max(len(past), 1)
