"""The fake OpenAI server, asked over HTTP with the standard library only."""

# ruff: noqa: S310 - only the loopback address is asked

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from adaptive_middleware.testing.fake_openai import Server, fake_openai

USER = [{"role": "user", "content": "What is 3 + 4?"}]
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.reset()
    return running


def post(server: Server, model: str = "fake+constant", timeout: float = 10, **body: Any) -> str:
    data = json.dumps({"model": model, "messages": USER, **body}).encode()
    request = urllib.request.Request(
        f"{server.url}/chat/completions", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=timeout) as response:
        return str(response.read(), "utf-8")


def choices(server: Server, model: str = "fake+constant", **body: Any) -> list[dict[str, Any]]:
    return list(json.loads(post(server, model, **body))["choices"])


def texts(server: Server, model: str, **body: Any) -> list[str]:
    return [choice["message"]["content"] for choice in choices(server, model, **body)]


def arguments(choice: dict[str, Any]) -> Any:
    return json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])


def refusal(server: Server, model: str, **body: Any) -> urllib.error.HTTPError:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(server, model, **body)
    caught.value.close()
    return caught.value


def test_the_same_requests_get_the_same_answers(server: Server) -> None:
    first = [post(server, "fake+split", n=2), post(server, "fake")]
    server.reset()
    assert [post(server, "fake+split", n=2), post(server, "fake")] == first


def test_the_models_name_decides_what_is_said(server: Server) -> None:
    assert texts(server, "fake+constant") == ["The answer is 42."]
    assert texts(server, "fake") == ["You said:\nWhat is 3 + 4?\nThe answer is 5."]
    server.reset()
    assert texts(server, "fake+arithmetic+split", n=4) == [
        "3 + 4 = 7\nThe answer is 7.",
        "3 + 4 = 8\nThe answer is 8.",
        "3 + 4 = 9\nThe answer is 9.",
        "3 + 4 = 7\nThe answer is 7.",
    ]
    long = [{"role": "user", "content": "-2 * 5 - 3 + 1"}]
    assert texts(server, "fake+arithmetic", messages=long) == [
        "-2 * 5 = -10\n-10 - 3 = -13\n-13 + 1 = -12\nThe answer is -12."
    ]
    none = [{"role": "user", "content": "Hi"}]
    assert texts(server, "fake+arithmetic", messages=none)[0].startswith("There is nothing to work out.")


def test_stop_words_end_an_answer(server: Server) -> None:
    assert texts(server, "fake+constant", stop=["is", "answer"]) == ["The "]
    assert texts(server, "fake+constant", stop="42") == ["The answer is "]


@pytest.mark.parametrize(
    ("choice", "role", "called"),
    [
        ("auto", "user", True),
        ("auto", "assistant", False),
        ("required", "assistant", True),
        ("any", "assistant", True),
        ("none", "user", False),
        ({"type": "function", "function": {"name": "add"}}, "assistant", True),
        ({"type": "function", "function": {"name": "unknown"}}, "user", False),
    ],
)
def test_tools_are_called_when_asked_for(server: Server, choice: Any, role: str, called: bool) -> None:
    messages = [*USER, {"role": role, "content": "Go on"}] if role != "user" else USER
    (one,) = choices(server, tools=[ADD], tool_choice=choice, messages=messages)
    assert ("tool_calls" in one["message"]) == called
    assert one["finish_reason"] == ("tool_calls" if called else "stop")


def test_the_result_of_a_tool_is_answered_with(server: Server) -> None:
    messages = [*USER, {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "7"}]}]
    assert texts(server, "fake", messages=messages, tools=[ADD]) == ["The tool says 7."]


def test_arguments_come_from_the_prompt_and_differ_when_split(server: Server) -> None:
    assert [arguments(one) for one in choices(server, tools=[ADD])] == [{"a": 3, "b": 4}]
    server.reset()
    drawn = [arguments(one) for one in choices(server, "fake+split", tools=[ADD], n=3)]
    assert drawn == [{"a": 3, "b": 4}, {"a": 4, "b": 5}, {"a": 5, "b": 6}]


def test_one_choice_of_three_is_the_odd_one_out(server: Server) -> None:
    found = texts(server, "fake+arithmetic+outlier", n=6)
    assert [text.splitlines()[0] for text in found] == ["3 + 4 = 8", "3 + 4 = 7", "3 + 4 = 7"] * 2


def test_bad_tool_calls_come_when_the_name_says(server: Server) -> None:
    def written(behaviour: str, n: int) -> list[list[tuple[str, str]]]:
        server.reset()
        found = choices(server, f"fake+{behaviour}", tools=[ADD], n=n)
        calls = [choice["message"]["tool_calls"] for choice in found]
        return [[(call["id"], call["function"]["arguments"]) for call in one] for one in calls]

    good, cut = ("call-0", '{"a": 3, "b": 4}'), ("call-0", '{"a": 3, "b": 4')
    assert written("malformed=3", 4) == [[cut], [good], [good], [cut]]
    assert written("malformed", 2) == [[cut], [cut]]
    assert written("twins", 1) == [[good, good]]


def test_an_empty_answer_says_nothing_and_an_empty_stream_is_over_at_once(server: Server) -> None:
    (choice,) = choices(server, "fake+empty", tools=[ADD])
    assert choice["message"] == {"role": "assistant", "content": None}
    assert post(server, "fake+empty", stream=True) == "data: [DONE]\n\n"


def test_structured_answers_follow_the_schema(server: Server) -> None:
    schema = {
        "type": "object",
        "$defs": {"Colour": {"enum": ["red", "blue"]}},
        "properties": {
            "name": {"type": "string"},
            "more": {"type": "string"},
            "colour": {"$ref": "#/$defs/Colour"},
            "kind": {"const": "k"},
            "count": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            "nothing": {"anyOf": [{"type": "null"}]},
            "share": {"type": ["null", "number"]},
            "sure": {"type": "boolean"},
            "words": {"type": "array", "items": {"type": "string"}},
            "free": {"type": "array"},
            "other": {"allOf": [{"type": "object", "properties": {}}]},
        },
    }
    messages = [{"role": "user", "content": "'你好' has 3 parts, 4 in all"}]
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    (text,) = texts(server, "fake", messages=messages, response_format=form)
    assert "你好" in text
    assert json.loads(text) == {
        "name": "你好",
        "more": "some text",
        "colour": "red",
        "kind": "k",
        "count": 3,
        "nothing": None,
        "share": 4.0,
        "sure": True,
        "words": ["some text"],
        "free": ["some text"],
        "other": {},
    }


def test_json_mode_has_the_keys_that_the_prompt_quotes(server: Server) -> None:
    messages = [{"role": "user", "content": "JSON with 'setup' and \"end\""}]
    (text,) = texts(server, "fake", messages=messages, response_format={"type": "json_object"})
    assert json.loads(text) == {"setup": "the setup", "end": "the end"}


def test_usage_counts_the_prompt_once_and_the_words_of_all_choices(server: Server) -> None:
    one, three = (json.loads(post(server, n=n))["usage"] for n in (1, 3))
    assert (one["completion_tokens"], three["completion_tokens"]) == (4, 12)
    assert one["prompt_tokens"] == three["prompt_tokens"] > 0
    assert three["total_tokens"] == three["prompt_tokens"] + 12


def test_log_probabilities_are_known_in_advance(server: Server) -> None:
    (one,) = choices(server, logprobs=True)
    tokens = one["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == "The answer is 42."
    assert [token["logprob"] for token in tokens] == pytest.approx([0, -0.1, -0.2, 0])
    assert choices(server)[0]["logprobs"] is None


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_a_stream_is_words_then_the_reason_then_usage(server: Server) -> None:
    *parts, last, usage = events(
        post(server, stream=True, stream_options={"include_usage": True}, logprobs=True)
    )
    deltas = [part["choices"][0]["delta"] for part in parts]
    assert [delta["content"] for delta in deltas] == ["", "The ", "answer ", "is ", "42."]
    assert parts[1]["choices"][0]["logprobs"]["content"][0]["token"] == "The "  # noqa: S105
    assert last["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 4)
    assert all(part["choices"] for part in events(post(server, stream=True)))


def test_a_streamed_tool_call_comes_in_pieces(server: Server) -> None:
    head, name, *pieces, _last = (
        e["choices"][0]["delta"] for e in events(post(server, stream=True, tools=[ADD]))
    )
    assert head == {"role": "assistant", "content": ""}
    assert name["tool_calls"][0]["function"] == {"name": "add", "arguments": ""}
    parts = [piece["tool_calls"][0]["function"]["arguments"] for piece in pieces]
    assert max(map(len, parts)) == 7
    assert json.loads("".join(parts)) == {"a": 3, "b": 4}


def test_failures_come_when_the_name_says(server: Server) -> None:
    post(server, "fake+fail=2")
    assert refusal(server, "fake+fail=2").code == 500
    post(server, "fake+limit=2")
    limited = refusal(server, "fake+limit=2")
    assert (limited.code, limited.headers["retry-after"], limited.headers["retry-after-ms"]) == (
        429,
        "1",
        "20",
    )
    assert refusal(server, "fake+single", n=2).code == 400
    assert len(choices(server, "fake+single", n=1)) == len(choices(server, "fake+ignore-n", n=5)) == 1


def test_everything_asked_is_recorded_and_can_be_forgotten(server: Server) -> None:
    post(server, n=2)
    with urllib.request.urlopen(server.url.removesuffix("/v1") + "/calls", timeout=10) as response:
        counts = json.load(response)
    assert counts == {"requests": 1, "choices": 2, "peak": 1, "abandoned": 0, "bodies": server.calls}
    assert server.calls == [{"model": "fake+constant", "messages": USER, "n": 2}]
    server.reset()
    assert (server.calls, server.choices, server.peak) == ([], 0, 0)


def test_the_bytes_of_a_body_are_kept(server: Server) -> None:
    post(server, temperature=0.50)
    assert server.bodies == [
        json.dumps({"model": "fake+constant", "messages": USER, "temperature": 0.5}).encode()
    ]
    server.reset()
    assert server.bodies == []


def test_requests_at_the_same_time_and_clients_that_leave_are_counted(server: Server) -> None:
    threads = [threading.Thread(target=post, args=(server, "fake+delay=1000")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.peak > 1
    with pytest.raises(TimeoutError):
        post(server, "fake+delay=60000", timeout=0.2)
    done = threading.Event()
    for _ in range(10000):
        if server.abandoned == 1 and server.in_flight == 0:
            done.set()
            break
        done.wait(0.005)
    assert done.is_set()


def test_models_are_listed(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/models", timeout=10) as response:
        assert [card["id"] for card in json.load(response)["data"]] == ["fake"]


def test_nothing_listens_after_the_block() -> None:
    before = set(threading.enumerate())
    with fake_openai() as server:
        host, port = server.url.removeprefix("http://").removesuffix("/v1").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
    assert set(threading.enumerate()) == before
