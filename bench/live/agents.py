"""One task for an agent with two tools, by each adapter: what was asked, called, answered and drawn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from adaptive_middleware import Middleware
from bench.loopback import proxy_process

TASK = "Add 17 and 25. Then multiply the result by 3."
VOTE = {
    "strategy": "best-of-n",
    "policy": {"kind": "agreement", "confidence": 0.8},
    "select": "majority",
    "max_samples": 6,
    "verifier": {"kind": "tool-schema"},
}
CONFIG: dict[str, Any] = {"version": 1, "policies": {"default": VOTE}}
MODEL: dict[str, Any] = {"model": "small", "temperature": 0.7, "max_tokens": 60}
Agent = Callable[[str], list[str]]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


TOOLS = {"add": add, "multiply": multiply}


def drawn(report: dict[str, Any]) -> str:
    """A decision on one line."""
    return f"    [{report['samples']} samples, {report['decisions'][-1]['because']}]"


def langchain_transcript(state: dict[str, Any]) -> list[str]:
    """The messages of a LangChain agent."""
    lines = []
    for message in state["messages"]:
        said = message.text or [(call["name"], call["args"]) for call in message.tool_calls]
        lines.append(f"{message.type}: {said}")
        if "adaptive" in message.response_metadata:
            lines.append(drawn(message.response_metadata["adaptive"]))
    return lines


def chat_model(url: str) -> list[str]:
    """`create_agent` with the wrapped model."""
    from langchain.agents import create_agent  # noqa: PLC0415 - each agent loads its own framework
    from langchain_openai import ChatOpenAI  # noqa: PLC0415

    from langchain_adaptive import AdaptiveChatModel  # noqa: PLC0415

    inner = ChatOpenAI(base_url=url, api_key="none", **MODEL)
    model = AdaptiveChatModel(inner=inner, middleware=Middleware.from_config(CONFIG))
    agent: Any = create_agent(model, list(TOOLS.values()))
    return langchain_transcript(agent.invoke({"messages": TASK}))


def agent_middleware(url: str) -> list[str]:
    """`create_agent` with the middleware."""
    from langchain.agents import create_agent  # noqa: PLC0415 - as above
    from langchain_openai import ChatOpenAI  # noqa: PLC0415

    from langchain_adaptive import AdaptiveComputeMiddleware  # noqa: PLC0415

    model = ChatOpenAI(base_url=url, api_key="none", **MODEL)
    middleware = [AdaptiveComputeMiddleware.from_config(CONFIG)]
    agent: Any = create_agent(model, list(TOOLS.values()), middleware=middleware)
    return langchain_transcript(agent.invoke({"messages": TASK}))


def llama_index(url: str) -> list[str]:
    """`FunctionAgent` with the wrapped model; needs `llama-index-llms-openai-like`."""
    from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult  # noqa: PLC0415 - as above
    from llama_index.llms.openai_like import OpenAILike  # noqa: PLC0415

    from llama_index_adaptive import AdaptiveLLM  # noqa: PLC0415

    flags = {"is_chat_model": True, "is_function_calling_model": True, "context_window": 2048}
    inner = OpenAILike(api_base=url, api_key="none", **flags, **MODEL)
    llm = AdaptiveLLM(llm=inner, middleware=Middleware.from_config(CONFIG))
    agent = FunctionAgent(tools=list(TOOLS.values()), llm=llm)

    async def run() -> list[str]:
        handler, lines = agent.run(TASK), [f"human: {TASK}"]
        async for event in handler.stream_events():
            if isinstance(event, ToolCallResult):
                said = (event.tool_name, event.tool_kwargs)
                lines += [f"ai: {said}", f"tool: {event.tool_output.content}"]
        return [*lines, f"ai: {await handler}"]

    return asyncio.run(run())


def loop(client: Any) -> list[str]:  # noqa: ANN401 - an OpenAI client of any version
    """The agent that a user of the OpenAI SDK writes by hand."""
    described = [_described(name) for name in TOOLS]
    messages: list[Any] = [{"role": "user", "content": TASK}]
    lines = [f"human: {TASK}"]
    while True:
        found = client.chat.completions.create(messages=messages, tools=described, **MODEL)
        message, report = found.choices[0].message, (found.model_extra or {})["adaptive"]
        calls = message.tool_calls or []
        said = message.content or [(one.function.name, one.function.arguments) for one in calls]
        lines += [f"ai: {said}", drawn(report)]
        if not calls:
            return lines
        messages.append(message.model_dump(exclude_none=True))
        for call in calls:
            result = TOOLS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": str(result)})
            lines.append(f"tool: {result}")


def _described(name: str) -> dict[str, Any]:
    number = {"type": "integer"}
    parameters = {"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]}
    function = {"name": name, "description": TOOLS[name].__doc__, "parameters": parameters}
    return {"type": "function", "function": function}


def transport(url: str) -> list[str]:
    """The OpenAI SDK with `AdaptiveTransport`."""
    from openai import VERSION, DefaultHttpxClient, OpenAI  # noqa: PLC0415 - as above

    world = "httpx" if int(VERSION.split(".")[0]) < 3 else "httpx2"
    wrapped = import_module(f"adaptive_middleware.transport.{world}").AdaptiveTransport
    with DefaultHttpxClient(transport=wrapped(Middleware.from_config(CONFIG))) as http:
        return loop(OpenAI(base_url=url, api_key="none", http_client=http))


def proxy(url: str) -> list[str]:
    """The OpenAI SDK as it is, with another base URL."""
    from openai import OpenAI  # noqa: PLC0415 - as above

    with proxy_process(url, CONFIG["policies"]) as base, OpenAI(base_url=base, api_key="none") as client:
        return loop(client)


AGENTS: dict[str, tuple[Agent, str]] = {
    "LangChain, AdaptiveChatModel": (chat_model, "langchain_openai"),
    "LangChain, AdaptiveComputeMiddleware": (agent_middleware, "langchain_openai"),
    "LlamaIndex, AdaptiveLLM": (llama_index, "llama_index.llms.openai_like"),
    "OpenAI SDK, AdaptiveTransport": (transport, "openai"),
    "OpenAI SDK, the proxy": (proxy, "openai"),
}
"""Each with the module that it needs."""


def installed(module: str) -> bool:
    """Whether a module, or the package that it would be in, can be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
