"""A transport of one HTTP library in a client of the other, as it happens when the SDK's version changes."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.transport import httpx as over_httpx
from adaptive_middleware.transport import httpx2 as over_httpx2

MIDDLEWARE = Middleware(best_of_n(fixed(1), max_samples=1, score=False))
PLACE = "http://127.0.0.1:9/v1/chat/completions"
PAIRS: Any = [(httpx, over_httpx2), (httpx2, over_httpx)]


@pytest.mark.parametrize(("library", "transports"), PAIRS)
def test_a_client_of_another_library_is_told_which_transport_it_needs(library: Any, transports: Any) -> None:
    with (
        library.Client(transport=transports.AdaptiveTransport(MIDDLEWARE)) as client,
        pytest.raises(ConfigError, match=rf"from adaptive_middleware\.transport\.{library.__name__}(\n|$)"),
    ):
        client.post(PLACE, json={"model": "m", "messages": []})


@pytest.mark.parametrize(("library", "transports"), PAIRS)
async def test_so_is_an_asynchronous_client(library: Any, transports: Any) -> None:
    async with library.AsyncClient(transport=transports.AsyncAdaptiveTransport(MIDDLEWARE)) as client:
        with pytest.raises(
            ConfigError, match=rf"from adaptive_middleware\.transport\.{library.__name__}(\n|$)"
        ):
            await client.post(PLACE, json={"model": "m", "messages": []})
