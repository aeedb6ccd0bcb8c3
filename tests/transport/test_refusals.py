"""What the provider refuses is the SDK's own error, as without us; and errors of the user's own hooks stay theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.testing.fake_sse import StreamServer, fake_sse
from adaptive_middleware.transport.httpx2 import AdaptiveTransport
from tests.refusals import ASKED, HI, refuse

MODELS = ("m", "key")


@pytest.fixture(scope="module")
def running_provider() -> Iterator[StreamServer]:
    with fake_sse(dict.fromkeys(MODELS, refuse)) as server:
        yield server


@pytest.fixture
def provider(running_provider: StreamServer) -> StreamServer:
    running_provider.asked.clear()
    return running_provider


def best_of(n: int) -> Middleware:
    return Middleware(best_of_n(fixed(n), max_samples=n, score=False))


async def raised(asking: Any, url: str, what: str, middleware: Middleware | None) -> openai.APIStatusError:
    client = asking.client(middleware, base_url=url)
    given = {"model": "key" if what == "key" else "m", "messages": HI, **ASKED[what][1]}
    with pytest.raises(openai.APIStatusError) as caught:
        await asking.result(client.chat.completions.create, **given)
    return caught.value


def said(error: openai.APIStatusError) -> tuple[Any, ...]:
    return type(error), error.status_code, error.body, error.request_id, str(error)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("what", sorted(ASKED.keys() - {"stream"}))
async def test_a_refusal_is_the_error_of_the_sdk_alone(
    asking: Any, provider: StreamServer, what: str, n: int
) -> None:
    expected = await raised(asking, provider.url, what, None)
    found = await raised(asking, provider.url, what, best_of(n))
    assert said(found) == said(expected)
    assert expected.status_code == ASKED[what][0]
    assert len(provider.asked) == (2 if what == "n" else 1 + n)


async def test_a_stream_is_refused_where_it_is_passed_on_and_not_needed_for_samples(
    asking: Any, provider: StreamServer
) -> None:
    expected = await raised(asking, provider.url, "stream", None)
    assert said(await raised(asking, provider.url, "stream", Middleware())) == said(expected)
    client = asking.client(best_of(3), base_url=provider.url)
    stream = await asking.result(client.chat.completions.create, model="m", messages=HI, stream=True)
    chunks = await asking.items(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "42"


def refuse_all(_: Any) -> None:
    message = "the user's own"
    raise LookupError(message)


@pytest.mark.parametrize("hook", ["request", "response"])
def test_an_error_of_the_users_own_hook_is_as_without_us(
    provider: StreamServer, hook: str, of_sdk: Any
) -> None:
    errors = []
    for transport in (None, of_sdk.AdaptiveTransport(best_of(3))):
        http = openai.DefaultHttpxClient(transport=transport, event_hooks={hook: [refuse_all]})
        given: dict[str, Any] = {
            "base_url": provider.url,
            "api_key": "k",
            "http_client": http,
            "max_retries": 0,
        }
        with (
            openai.OpenAI(**given) as client,
            pytest.raises((LookupError, openai.APIConnectionError)) as caught,
        ):
            client.chat.completions.create(model="m", messages=HI)
        own = caught.value if isinstance(caught.value, LookupError) else caught.value.__cause__
        errors.append((type(caught.value), repr(own)))
    assert errors == [(errors[0][0], 'LookupError("the user\'s own")')] * 2


def test_a_client_without_a_key_is_refused_by_the_sdk_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, provider: StreamServer
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with httpx2.Client(transport=AdaptiveTransport(best_of(3))) as http, pytest.raises(openai.OpenAIError):
        openai.OpenAI(base_url=provider.url, http_client=http).chat.completions.create(model="m", messages=HI)
    assert provider.asked == []
