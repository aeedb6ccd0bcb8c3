"""Tool calls from a model that was not trained to make them: its grammar lets it write nothing else.

A front for an OpenAI-compatible server that can constrain an answer to a JSON schema, but does not turn what the model
wrote into `tool_calls` (llama.cpp's server in `xllamacpp`, for models of this size). Requests without tools pass as
they are.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = Mapping[str, Any]

RULES = "Reply with one JSON object: a call of one of these functions, or the answer once it is known.\n"
EXAMPLE = (
    'Example. Question: Add 2 and 3. Then multiply the result by 4.\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n'
    'Result: 5\n{"name": "multiply", "arguments": {"a": 5, "b": 4}}\nResult: 20\n{"answer": "20"}'
)
ROUNDS = 2
"""Results of tools after which a small model is made to answer: by itself it would call for ever."""


def constrained(body: Json) -> dict[str, Any]:
    """The request that asks a model without tools for the JSON of a call, or of an answer."""
    told = [tool["function"] for tool in body["tools"]]
    listed = "\n".join(f"{tool['name']}: {tool.get('description', '')}" for tool in told)
    begin = {"role": "system", "content": f"{RULES}{listed}\n{EXAMPLE}"}
    messages = [begin, *(_said(message) for message in body["messages"] if message["role"] != "system")]
    schema = {"type": "json_schema", "json_schema": {"name": "reply", "schema": _schema(body, told)}}
    left_out = ("tools", "tool_choice", "parallel_tool_calls", "stream", "stream_options")
    rest = {key: value for key, value in body.items() if key not in left_out}
    return {**rest, "messages": messages, "response_format": schema}


def _said(message: Json) -> dict[str, Any]:
    """A message without tool fields, in the words of `EXAMPLE`."""
    if message["role"] == "tool":
        return {"role": "user", "content": f"Result: {message['content']}"}
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    if calls:
        made = ({"name": one["name"], "arguments": json.loads(one["arguments"])} for one in calls)
        return {"role": message["role"], "content": "\n".join(map(json.dumps, made))}
    return {"role": message["role"], "content": message["content"]}


def _schema(body: Json, tools: Sequence[Json]) -> dict[str, Any]:
    """Calls first, and after `ROUNDS` results nothing but an answer."""
    results = sum(message["role"] == "tool" for message in body["messages"])
    calls = [
        _only({"name": {"const": tool["name"]}, "arguments": _only(tool["parameters"]["properties"])})
        for tool in tools
    ]
    answer = _only({"answer": {"type": "string", "maxLength": 40}})
    return answer if results >= ROUNDS else {"anyOf": calls}


def _only(properties: Json) -> dict[str, Any]:
    """An object with exactly these fields."""
    shape = {"type": "object", "additionalProperties": False}
    return {**shape, "properties": properties, "required": list(properties)}


def as_message(index: int, content: str) -> dict[str, Any]:
    """The choice that the model wrote as JSON; text that is cut off stays text."""
    try:
        said = json.loads(content)
    except ValueError:
        said = {"answer": content}
    if "name" not in said:
        message = {"role": "assistant", "content": said.get("answer", content)}
        return {"index": index, "finish_reason": "stop", "message": message}
    function = {"name": said["name"], "arguments": json.dumps(said["arguments"])}
    call = {"id": f"call-{index}", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"index": index, "finish_reason": "tool_calls", "message": message}


async def _events(whole: Json) -> AsyncIterator[str]:
    """The reply as a stream: each choice in one piece, then usage."""
    head = {**whole, "object": "chat.completion.chunk", "usage": None}
    for choice in whole["choices"]:
        calls = choice["message"].get("tool_calls") or ()
        numbered = [{**call, "index": k} for k, call in enumerate(calls)]
        delta = {**choice["message"], **({"tool_calls": numbered} if calls else {})}
        one = {"index": choice["index"], "delta": delta, "finish_reason": choice["finish_reason"]}
        yield f"data: {json.dumps({**head, 'choices': [one]})}\n\n"
    yield f"data: {json.dumps({**head, 'choices': [], 'usage': whole['usage']})}\n\n"
    yield "data: [DONE]\n\n"


def front(upstream: str) -> Starlette:
    """The application; `upstream` is the base URL of the model's server."""

    async def complete(request: Request) -> Response:
        body: dict[str, Any] = await request.json()
        tools = bool(body.get("tools"))
        async with httpx2.AsyncClient(timeout=600) as http:
            reply = await http.post(f"{upstream}/chat/completions", json=constrained(body) if tools else body)
        if not tools or reply.is_error:
            return Response(reply.content, reply.status_code, media_type=reply.headers["content-type"])
        whole = reply.json()
        chosen = [as_message(one["index"], one["message"]["content"]) for one in whole["choices"]]
        whole["choices"] = chosen
        if body.get("stream"):
            return StreamingResponse(_events(whole), media_type="text/event-stream")
        return JSONResponse(whole)

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
