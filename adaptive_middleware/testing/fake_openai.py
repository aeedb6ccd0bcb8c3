"""A fake OpenAI server on the loopback interface: deterministic, recorded, and real HTTP.

    with fake_openai() as server:
        model = ChatOpenAI(base_url=server.url, api_key="none", model="fake+arithmetic")

It answers `/v1/chat/completions` (n, tools, response_format, stop, logprobs, SSE streams, usage),
`/v1/responses` (input, tools, text.format, streams of events, usage) and `/v1/models`; `/calls` and the
attributes of the server say what was asked. What it answers is decided by the model's name: see `fake_answers`. Needs starlette and uvicorn.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from adaptive_middleware.testing.fake_answers import Json, Reply, behaviours, reply
from adaptive_middleware.testing.fake_responses import chat_of, events, response

RETRY_AFTER_MS = 20


@dataclass(slots=True)
class Server:
    """A running server: its address, and everything it was asked since the last `reset`.

    `calls` are the bodies of all requests for answers, in order of arrival, and `bodies` their bytes; `choices` counts the
    answers given, `in_flight` the requests being answered now, `peak` the most at the same moment, and
    `abandoned` the requests whose client went away before the answer.
    """

    url: str
    calls: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    choices: int = 0
    in_flight: int = 0
    peak: int = 0
    abandoned: int = 0
    requests: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Forget what was asked; counting starts again."""
        self.calls.clear()
        self.bodies.clear()
        self.requests.clear()
        self.choices = self.peak = self.abandoned = 0

    async def complete(self, request: Request) -> Response:
        """Answer a request for a chat completion or for a response."""
        body: dict[str, Any] = await request.json()
        self.bodies.append(await request.body())
        self.calls.append(body)
        self.requests[body["model"]] += 1
        count = self.requests[body["model"]]
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            if not await self._waited(request, behaviours(body["model"]).get("delay", 0) / 1000):
                return Response(status_code=499)
        finally:
            self.in_flight -= 1
        answer = self._respond if request.url.path.endswith("/responses") else self._answer
        return _refusal(body, count) or answer(body, count)

    async def models(self, _request: Request) -> Response:
        """The model list that clients ask for."""
        card = {"id": "fake", "object": "model", "created": 0, "owned_by": "nobody"}
        return JSONResponse({"object": "list", "data": [card]})

    async def counts(self, _request: Request) -> Response:
        """The counters and the recorded bodies."""
        counts = {"requests": len(self.calls), "choices": self.choices, "peak": self.peak}
        return JSONResponse({**counts, "abandoned": self.abandoned, "bodies": self.calls})

    async def _waited(self, request: Request, seconds: float) -> bool:
        """Wait; False when the client went away meanwhile."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if await request.is_disconnected():
                self.abandoned += 1
                return False
            await asyncio.sleep(0.002)
        return True

    def _answer(self, body: Json, count: int) -> Response:
        n = 1 if "ignore-n" in behaviours(body["model"]) else body.get("n") or 1
        replies = [reply(body, self.choices + k) for k in range(n)]
        self.choices += n
        head = {"id": f"chatcmpl-{count}", "created": 0, "model": body["model"]}
        headers = {"x-request-id": f"req-{count}"}
        if body.get("stream"):
            stream = _events(body, head, replies)
            return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
        choices = [_choice(body, k, one) for k, one in enumerate(replies)]
        whole = {**head, "object": "chat.completion", "choices": choices, "usage": usage(body, replies)}
        return JSONResponse(whole, headers=headers)

    def _respond(self, body: Json, count: int) -> Response:
        chat = chat_of(body)
        one = reply(chat, self.choices)
        self.choices += 1
        whole = response(body, one, count, usage(chat, [one]))
        headers = {"x-request-id": f"req-{count}"}
        if body.get("stream"):
            return StreamingResponse(events(whole), media_type="text/event-stream", headers=headers)
        return JSONResponse(whole, headers=headers)


def usage(body: Json, replies: list[Reply]) -> dict[str, int]:
    """Token counts of a request: a token is a word, of the prompt's JSON and of all replies."""
    prompt = len(json.dumps(body["messages"]).split())
    completion = sum(max(len(_pieces(one)), 1) for one in replies)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


@contextmanager
def fake_openai() -> Iterator[Server]:
    """A server in a thread of its own, on a free port; it has stopped when the block is left."""
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio does this for its own sockets only; without, every answer waits 40 ms for an acknowledgement
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    routes = [
        Route("/v1/chat/completions", server.complete, methods=["POST"]),
        Route("/v1/responses", server.complete, methods=["POST"]),
        Route("/v1/models", server.models),
        Route("/calls", server.counts),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), lifespan="off", ws="none", log_level="warning", timeout_graceful_shutdown=1
    )
    runner = uvicorn.Server(config)
    thread = threading.Thread(target=runner.run, args=([listener],), name="fake-openai", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        runner.should_exit = True
        thread.join()
        listener.close()


def _refusal(body: Json, count: int) -> Response | None:
    """The HTTP error that the model's name asks for at this request."""
    wants = behaviours(body["model"])
    if "fail" in wants and count % wants["fail"] == 0:
        return _error(500, "server_error", "the model asked for a failure")
    if "limit" in wants and count % wants["limit"] == 0:
        headers = {"retry-after": "1", "retry-after-ms": str(RETRY_AFTER_MS)}
        return _error(429, "rate_limit_exceeded", "the model asked for a rate limit", headers)
    if "single" in wants and (body.get("n") or 1) > 1:
        return _error(400, "invalid_request_error", "this model gives one choice: n must be 1")
    return None


def _error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Response:
    error = {"message": message, "type": kind, "param": None, "code": kind}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _choice(body: Json, index: int, one: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": one.text or None}
    if one.calls:
        message["tool_calls"] = [_call(*call) for call in _numbered(one)]
    return {
        "index": index,
        "message": message,
        "finish_reason": "tool_calls" if one.calls else "stop",
        "logprobs": _logprobs(_pieces(one)) if body.get("logprobs") else None,
    }


async def _events(body: Json, head: Json, replies: list[Reply]) -> AsyncIterator[str]:
    """The server-sent events of a stream: words of text, arguments of tools in pieces, then usage."""
    head = {**head, "object": "chat.completion.chunk"}
    for index, one in enumerate(replies if "empty" not in behaviours(body["model"]) else ()):
        for delta in _deltas(one):
            logprobs = _logprobs([delta["content"]]) if body.get("logprobs") and "content" in delta else None
            choice = {"index": index, "delta": delta, "finish_reason": None, "logprobs": logprobs}
            yield _event({**head, "choices": [choice]})
        reason = "tool_calls" if one.calls else "stop"
        yield _event({**head, "choices": [{"index": index, "delta": {}, "finish_reason": reason}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": usage(body, replies)})
    yield "data: [DONE]\n\n"


def _deltas(one: Reply) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for index, (number, name, arguments) in enumerate(_numbered(one)):
        yield {"tool_calls": [{**_call(number, name, ""), "index": index}]}
        for start in range(0, len(arguments), 7):
            part = {"index": index, "function": {"arguments": arguments[start : start + 7]}}
            yield {"tool_calls": [part]}
    if not one.calls:
        for piece in _pieces(one):
            yield {"content": piece}


def _numbered(one: Reply) -> list[tuple[int, str, str]]:
    """The calls of a reply, each with the number in its id."""
    return [(0 if one.twins else k, name, arguments) for k, (name, arguments) in enumerate(one.calls)]


def _call(index: int, name: str, arguments: str) -> dict[str, Any]:
    return {"id": f"call-{index}", "type": "function", "function": {"name": name, "arguments": arguments}}


def _pieces(one: Reply) -> list[str]:
    """Word-sized chunks that join to the reply's text; the arguments of a tool call count, too."""
    text = one.text or " ".join(arguments for _, arguments in one.calls)
    words = text.split(" ")
    return [*(word + " " for word in words[:-1]), words[-1]] if text else []


def _logprobs(pieces: list[str]) -> dict[str, Any]:
    """Log-probabilities of 0, -0.1, -0.2, 0, ... so that every token's is known in advance."""
    tokens: list[dict[str, Any]] = [
        {"token": piece, "logprob": -(k % 3) / 10, "bytes": None, "top_logprobs": []}
        for k, piece in enumerate(pieces)
    ]
    return {"content": tokens, "refusal": None}


def _event(data: Json) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
