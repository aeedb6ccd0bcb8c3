"""Parameters of a request replace those of the endpoint, however it is asked: whole, in a stream, or from a prefix."""

from typing import Any

import pytest

from adaptive_middleware.sampling.continuing import Continuing
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_http import OpenAISampler
from adaptive_middleware.sampling.openai_replies import Patience, asked
from adaptive_middleware.testing.fake_sse import fake_sse, whole_reply
from adaptive_middleware.types import Path, Request

STRONG = Request(
    "2 + 2?", parameters={"model": "big", "temperature": 0.1, "n": 9, "messages": [], "stream": False}
)


def whole(place: Endpoint) -> Any:
    reply = {"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}
    with fake_sse({"big": [whole_reply(reply)]}) as server:
        OpenAISampler(Endpoint(server.url, place.model)).sample(STRONG, 1)
        return server.asked[0]


def streamed(place: Endpoint) -> Any:
    return asked(place, Patience(), {}, STRONG)["json"]


def continued(place: Endpoint) -> Any:
    return Continuing("continue_final_message").body(place, STRONG, Path(), 1)


@pytest.mark.parametrize("said", [whole, streamed, continued])
def test_another_model_and_its_parameters_are_asked_but_the_question_stays(said: Any) -> None:
    body = said(Endpoint("http://127.0.0.1:9/v1", "small"))
    assert (body["model"], body["temperature"], body.get("n", 1)) == ("big", 0.1, 1)
    assert body["messages"] == [{"role": "user", "content": "2 + 2?"}]
    assert body.get("stream", False) is (said is streamed)
