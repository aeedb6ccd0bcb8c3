"""What the upstream refuses comes through the proxy as it would come without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from adaptive_middleware.testing.fake_sse import StreamServer, fake_sse
from tests.proxy.site import proxied, sdk
from tests.refusals import ASKED, HI, refuse


@pytest.fixture(scope="module")
def running_upstream() -> Iterator[tuple[StreamServer, str]]:
    models = ("m", "three", "key", "three-key")
    with fake_sse(dict.fromkeys(models, refuse)) as upstream, proxied(upstream.url) as url:
        yield upstream, url


@pytest.fixture
def upstream(running_upstream: tuple[StreamServer, str]) -> StreamServer:
    running_upstream[0].asked.clear()
    return running_upstream[0]


@pytest.fixture
def url(running_upstream: tuple[StreamServer, str]) -> str:
    return running_upstream[1]


def raised(url: str, what: str, model: str) -> tuple[Any, ...]:
    given: dict[str, Any] = {"model": model, "messages": HI, **ASKED[what][1]}
    with sdk(url) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**given)
    error = caught.value
    return type(error), error.status_code, error.body, error.request_id, str(error)


@pytest.mark.parametrize(("model", "n"), [("m", 1), ("three", 3)])
@pytest.mark.parametrize("what", sorted(ASKED.keys() - {"stream"}))
def test_a_refusal_is_the_upstreams_own(
    upstream: StreamServer, url: str, what: str, model: str, n: int
) -> None:
    name = {"key": {"m": "key", "three": "three-key"}}.get(what, {}).get(model, model)
    expected = raised(upstream.url.removesuffix("/v1"), what, name)
    assert raised(url, what, name) == expected
    assert expected[1] == ASKED[what][0]
    assert len(upstream.asked) == (2 if what == "n" else 1 + n)


@pytest.mark.parametrize("model", ["m", "three"])
def test_a_refused_stream_is_the_upstreams_own_error(upstream: StreamServer, url: str, model: str) -> None:
    """A client that streams gets samples that stream, so that the winner is the upstream's own stream."""
    expected = raised(upstream.url.removesuffix("/v1"), "stream", model)
    assert raised(url, "stream", model) == expected
    assert all(body["stream"] for body in upstream.asked)
