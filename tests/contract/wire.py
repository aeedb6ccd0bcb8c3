"""A LlamaIndex model that speaks chat completions over HTTP, with nothing between its caller and the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

import httpx2
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    ImageBlock,
    LLMMetadata,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection

from tests.contract.sdk import TLS

NO_COMPLETIONS = "this model chats"


class WireLLM(FunctionCallingLLM):
    """`chat` posts its messages as they are, and whatever keywords it gets beside them."""

    url: str
    _http: httpx2.Client = PrivateAttr()
    _ahttp: httpx2.AsyncClient = PrivateAttr()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._http = httpx2.Client(verify=TLS)
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._ahttp = httpx2.AsyncClient(verify=TLS, limits=limits, timeout=60)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="wire", is_chat_model=True, is_function_calling_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return whole(self._http.post(f"{self.url}/chat/completions", json=body(messages, kwargs)))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return whole(await self._ahttp.post(f"{self.url}/chat/completions", json=body(messages, kwargs)))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        asked = body(messages, {**kwargs, "stream": True})

        def pieces() -> Generator[ChatResponse, None, None]:
            text = ""
            with self._http.stream("POST", f"{self.url}/chat/completions", json=asked) as response:
                response.raise_for_status()
                for line in response.iter_lines():
                    for delta in deltas(line):
                        text += delta
                        yield ChatResponse(message=ChatMessage(text, role="assistant"), delta=delta)

        return pieces()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        asked = body(messages, {**kwargs, "stream": True})

        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            text = ""
            async with self._ahttp.stream("POST", f"{self.url}/chat/completions", json=asked) as response:
                response.raise_for_status()
                async for line in response.aiter_lines():
                    for delta in deltas(line):
                        text += delta
                        yield ChatResponse(message=ChatMessage(text, role="assistant"), delta=delta)

        return pieces()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError(NO_COMPLETIONS)

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError(NO_COMPLETIONS)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError(NO_COMPLETIONS)

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        raise NotImplementedError(NO_COMPLETIONS)

    def _prepare_chat_with_tools(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        raise NotImplementedError

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [selection(block) for block in blocks]

    def close(self) -> None:
        self._http.close()

    async def aclose(self) -> None:
        await self._ahttp.aclose()


def selection(block: ToolCallBlock) -> ToolSelection:
    """A call as LlamaIndex's agents run it; what cannot be read has no arguments."""
    try:
        found = json.loads(block.tool_kwargs) if isinstance(block.tool_kwargs, str) else block.tool_kwargs
    except ValueError:
        found = {}
    return ToolSelection(tool_id=block.tool_call_id or "", tool_name=block.tool_name, tool_kwargs=found)


def body(messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The body of a chat completion."""
    unknown = kwargs.pop("extra_body", {})
    return {"messages": [written(message) for message in messages], **kwargs, **unknown}


def written(message: ChatMessage) -> dict[str, Any]:
    """A message as OpenAI writes it, with all that LlamaIndex knows of it."""
    parts = [part(block) for block in message.blocks if not isinstance(block, ToolCallBlock)]
    calls = [called(block) for block in message.blocks if isinstance(block, ToolCallBlock)]
    plain = len(parts) == 1 and parts[0]["type"] == "text"
    content = parts[0]["text"] if plain else parts or None
    made = {"role": message.role.value, "content": content, **message.additional_kwargs}
    return {**made, "tool_calls": calls} if calls else made


def part(block: Any) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    assert isinstance(block, ImageBlock)
    return {"type": "image_url", "image_url": {"url": str(block.url)}}


def called(block: ToolCallBlock) -> dict[str, Any]:
    function = {"name": block.tool_name, "arguments": block.tool_kwargs}
    return {"id": block.tool_call_id, "type": "function", "function": function}


def read(message: dict[str, Any]) -> ChatMessage:
    """A message of OpenAI's form as LlamaIndex knows it."""
    content = message.get("content")
    parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    blocks: list[Any] = [
        TextBlock(text=one["text"]) if one["type"] == "text" else ImageBlock(url=one["image_url"]["url"])
        for one in parts
    ]
    for call in message.get("tool_calls") or ():
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        blocks.append(ToolCallBlock(tool_call_id=call["id"], tool_name=name, tool_kwargs=arguments))
    ids = {"tool_call_id": message["tool_call_id"]} if "tool_call_id" in message else {}
    return ChatMessage(role=message["role"], blocks=blocks, additional_kwargs=ids)


def whole(response: httpx2.Response) -> ChatResponse:
    """A response in one piece."""
    response.raise_for_status()
    found = response.json()
    return ChatResponse(message=read(found["choices"][0]["message"]), raw=found)


def deltas(line: str) -> list[str]:
    """The text of one line of a stream."""
    if not line.startswith("data: {"):
        return []
    choices = json.loads(line.removeprefix("data: "))["choices"]
    return [choice["delta"]["content"] for choice in choices if choice["delta"].get("content")]
