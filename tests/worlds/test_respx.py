"""The provider classes of this world with respx in the provider's place, on whichever HTTP library they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.worlds.conftest import MOCKED
from tests.worlds.test_provider_classes import best_of

Made = Callable[..., Any]
HEAD = {"id": "c-1", "created": 0, "model": "m"}
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    503: openai.InternalServerError,
}


def whole(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def events(*pieces: str) -> str:
    """A stream of the pieces, with usage at its end."""
    head = {**HEAD, "object": "chat.completion.chunk"}
    deltas: list[Any] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks = [{**head, "choices": [choice]} for choice in choices]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({**head, "choices": [], "usage": USAGE})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


async def test_every_sample_of_a_call_meets_the_mock(made: Made, mocked: Any) -> None:
    mocked.respond(json=whole("It is 7."))
    told = await made("x", best_of(3), MOCKED).ask()
    assert (told.text, told.tokens) == ("It is 7.", 3 * 7)
    bodies = [json.loads(call.request.content) for call in mocked.calls]
    assert bodies == [bodies[0]] * 3


async def test_a_bare_stream_meets_the_mock_event_by_event(made: Made, mocked: Any) -> None:
    mocked.respond(text=events("It ", "is 7."), headers={"content-type": "text/event-stream"})
    assert (await made("x", None, MOCKED).stream()).pieces == ["It ", "is 7."]
    assert mocked.call_count == 1


@pytest.mark.parametrize("status", ERRORS)
async def test_a_status_of_the_provider_is_the_sdks_class_of_error(
    made: Made, mocked: Any, status: int
) -> None:
    mocked.respond(status, json={"error": {"message": "no", "type": "t", "param": None, "code": "c"}})
    with pytest.raises(ERRORS[status]) as raised:
        await made("x", best_of(3), MOCKED).ask()
    assert raised.value.status_code == status
    assert mocked.call_count == 3
