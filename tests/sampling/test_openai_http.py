"""The sampler of OpenAI-compatible endpoints, against real HTTP on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling import endpoint
from adaptive_middleware.sampling.endpoint import wait_seconds
from adaptive_middleware.sampling.openai_http import Endpoint, OpenAISampler
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import Request

ASKED = Request("What is 2 + 2?")


class Scripted:
    """A server that gives the scripted replies in order, the last one for ever, and keeps what it was asked."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                outer.keys.append(self.headers.get("authorization"))
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        status, headers, body = reply if isinstance(reply, tuple) else (200, {}, reply)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1/"


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    running: list[Scripted] = []

    def start(*replies: Any) -> Scripted:
        scripted = Scripted(*replies)
        threading.Thread(target=scripted.server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        running.append(scripted)
        return scripted

    yield start
    for scripted in running:
        scripted.server.shutdown()
        scripted.server.server_close()


def choice(text: str, reason: str = "stop", tokens: list[tuple[str, float]] | None = None) -> dict[str, Any]:
    content = None if tokens is None else {"content": [{"token": t, "logprob": p} for t, p in tokens]}
    return {"message": {"role": "assistant", "content": text}, "finish_reason": reason, "logprobs": content}


def reply(*choices: dict[str, Any], prompt: int = 7, completion: int = 9) -> dict[str, Any]:
    return {"choices": list(choices), "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


def sampler(scripted: Scripted, **settings: Any) -> OpenAISampler:
    return OpenAISampler(Endpoint(scripted.url, "m", **settings))


def test_a_prefix_goes_as_an_assistant_message_that_is_continued(serve: Callable[..., Scripted]) -> None:
    scripted = serve(reply(choice("4 = 4\nThe answer is 4."), choice("...", "length")))
    ((right, cut),) = sampler(scripted).extend(ASKED, ["2 + 2 = 4\n"], 2, seed=11)
    (body,) = scripted.asked
    assert body["messages"] == [
        {"role": "user", "content": ASKED.text},
        {"role": "assistant", "content": "2 + 2 = 4\n"},
    ]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert (body["n"], body["seed"]) == (2, 11)
    assert right.path.text == "2 + 2 = 4\n4 = 4\nThe answer is 4."
    assert right.path.steps == ("2 + 2 = 4\n", "4 = 4\n", "The answer is 4.")
    assert (right.path.done, cut.path.done) == (True, False)


def test_whole_answers_carry_the_logprobs_of_their_steps(serve: Callable[..., Scripted]) -> None:
    tokens = [("2 ", -0.5), ("+\n", -0.1), ("4", -0.25), (".", 0.125)]
    scripted = serve(reply(choice("2 +\n4.", tokens=tokens)))
    ((drawn,),) = sampler(scripted, key="secret", temperature=0.5, top_p=0.9).extend(ASKED, [""], 1, seed=0)
    assert drawn.path.logprobs == (-0.5, -0.1, -0.25, 0.0)
    assert drawn.ends == (2, 4)
    assert drawn.logprobs_until(1) == (-0.5, -0.1)
    (body,) = scripted.asked
    assert (body["temperature"], body["top_p"], body["logprobs"]) == (0.5, 0.9, True)
    assert "continue_final_message" not in body
    assert scripted.keys == ["Bearer secret"]


def test_a_server_that_ignores_n_is_asked_again(serve: Callable[..., Scripted]) -> None:
    scripted = serve(*(reply(choice(str(k)), completion=5) for k in range(3)))
    paths = sampler(scripted, logprobs=False).sample(ASKED, 3)
    assert [path.text for path in paths] == ["0", "1", "2"]
    assert [body["n"] for body in scripted.asked] == [3, 2, 1]
    assert [path.usage.prompt_tokens for path in paths] == [7, 7, 7]
    assert "logprobs" not in scripted.asked[0]
    assert "seed" not in scripted.asked[0]


def test_the_cost_of_one_request_is_counted_once(serve: Callable[..., Scripted]) -> None:
    paths = sampler(serve(reply(choice("a"), choice("b"), choice("c"), completion=10))).sample(ASKED, 3)
    assert sum(path.usage.completion_tokens for path in paths) == 10
    assert sum(path.usage.prompt_tokens for path in paths) == 7
    assert sum(path.usage.requests for path in paths) == 1


def test_a_busy_server_is_asked_again_when_it_says(serve: Callable[..., Scripted]) -> None:
    busy = (429, {"retry-after": "0"}, {"error": "slow down"})
    broken = (503, {"retry-after": "0"}, b"down")
    scripted = serve(busy, broken, reply(choice("4")))
    assert [path.text for path in sampler(scripted).sample(ASKED, 1)] == ["4"]
    assert len(scripted.asked) == 3


def test_it_gives_up_after_its_attempts_and_says_what_it_heard(serve: Callable[..., Scripted]) -> None:
    scripted = serve((500, {"retry-after": "0"}, b"out of order"))
    with pytest.raises(SamplerError, match=r"no answer in 2 attempts: HTTP 500: out of order"):
        sampler(scripted, attempts=2).sample(ASKED, 1)
    assert len(scripted.asked) == 2


def test_a_refusal_is_not_repeated(serve: Callable[..., Scripted]) -> None:
    scripted = serve((400, {}, {"error": "unknown parameter"}))
    with pytest.raises(SamplerError, match=r"refused a request for 'm': HTTP 400: .*unknown parameter"):
        sampler(scripted).sample(ASKED, 1)
    assert len(scripted.asked) == 1


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"<html>", "did not answer with JSON"),
        ({"choices": []}, "without usable choices"),
        ({"error": "no"}, "without usable choices"),
        ({"choices": [{"text": "a"}]}, "without usable choices"),
        ([1], "without usable choices"),
    ],
)
def test_what_is_no_answer_is_named(serve: Callable[..., Scripted], body: Any, cause: str) -> None:
    with pytest.raises(SamplerError, match=cause):
        sampler(serve(body)).sample(ASKED, 1)


def test_nobody_there_is_named_with_the_address() -> None:
    with pytest.raises(
        SamplerError, match=r"http://127.0.0.1:9/v1/chat/completions: no answer in 1 attempts"
    ):
        OpenAISampler(Endpoint("http://127.0.0.1:9/v1", "m", attempts=1)).sample(ASKED, 1)


def test_waiting_grows_where_the_server_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    wait = wait_seconds

    def counted(state: Any) -> float:
        waits.append(wait(state))
        return 0.0

    monkeypatch.setattr(endpoint, "wait_seconds", counted)
    with pytest.raises(SamplerError):
        OpenAISampler(Endpoint("http://127.0.0.1:9/v1", "m", attempts=5)).sample(ASKED, 1)
    assert list(dict.fromkeys(waits))[:4] == [0.5, 1.0, 2.0, 4.0]


def test_the_project_s_fake_server_is_understood() -> None:
    with fake_openai() as server:
        own = OpenAISampler(Endpoint(server.url, "fake+arithmetic"))
        paths = own.sample(Request("What is 2 + 3?"), 2)
        assert own.id == "fake+arithmetic"
        assert len(paths) == 2
        assert all(path.text and path.logprobs and path.usage.completion_tokens for path in paths)
        assert [body["n"] for body in server.calls] == [2]


def test_tokens_of_a_choice_are_counted_where_they_are_given_and_shared_out_where_not(
    serve: Callable[..., Scripted],
) -> None:
    def choice(text: str, *tokens: str) -> dict[str, Any]:
        given = {"content": [{"token": token, "logprob": -0.1} for token in tokens]} if tokens else None
        return {"message": {"content": text}, "finish_reason": "stop", "logprobs": given}

    usage = {"prompt_tokens": 7, "completion_tokens": 5}
    counted = serve({"choices": [choice("a", "a"), choice("b c d e", "b", " c", " d", " e")], "usage": usage})
    shared = serve({"choices": [choice("a"), choice("b c d e")], "usage": usage})
    lengths = [
        [path.usage.completion_tokens for path in OpenAISampler(Endpoint(one.url, "m")).sample(ASKED, 2)]
        for one in (counted, shared)
    ]
    assert lengths == [[1, 4], [3, 2]]


def test_a_server_that_limits_n_is_asked_for_half_as_many_until_it_takes_them(
    serve: Callable[..., Scripted],
) -> None:
    refused: Any = (
        400,
        {},
        {"error": {"message": "Field 'n': Value must be between 1 <= value <= 2, but got 5"}},
    )
    two = {"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}] * 2, "usage": {}}
    scripted = serve(refused, two)
    paths = OpenAISampler(Endpoint(scripted.url, "m")).sample(ASKED, 5)
    assert [path.text for path in paths] == ["4"] * 5
    assert [body["n"] for body in scripted.asked] == [5, 2, 2, 1]


def test_a_refusal_of_one_choice_is_the_callers_to_see(serve: Callable[..., Scripted]) -> None:
    scripted = serve((400, {}, {"error": {"message": "n is no number"}}))
    with pytest.raises(SamplerError, match="n is no number"):
        OpenAISampler(Endpoint(scripted.url, "m")).sample(ASKED, 2)
    assert [body["n"] for body in scripted.asked] == [2, 1]
