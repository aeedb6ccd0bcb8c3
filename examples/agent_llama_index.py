"""An agent whose every turn is decided among samples: LlamaIndex's FunctionAgent, with a scripted model in the provider's place."""

import asyncio
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index_instrumentation import get_dispatcher

from adaptive_middleware import Middleware
from llama_index_adaptive import AdaptiveEvent, AdaptiveLLM

POLICY = {"kind": "agreement", "confidence": 0.9}
VOTE = {"strategy": "best-of-n", "policy": POLICY, "select": "majority", "max_samples": 8}
COUNTS = cycle([48, 480, 48, 48])  # what the samples want to order: one in four is wrong


def model(messages: Sequence[ChatMessage], **_: object) -> ChatMessage:
    """A model that orders first, and then says so."""
    if messages[-1].role == "tool":
        return ChatMessage(f"Done: {messages[-1].content}.", role="assistant")
    message = ChatMessage(role="assistant")
    message.blocks = [ToolCallBlock(tool_call_id="1", tool_name="order", tool_kwargs={"boxes": next(COUNTS)})]
    return message


def order(boxes: int) -> str:
    """Order boxes of pens, which cannot be undone."""
    print("ordering", boxes, "boxes")
    return f"{boxes} boxes are on their way"


class Decisions(BaseEventHandler):
    """Prints what was decided about each turn of the agent."""

    def handle(self, event: Any, **_: object) -> None:  # noqa: ANN401 - LlamaIndex's signature
        """One line for each decision."""
        if isinstance(event, AdaptiveEvent):
            print("-", event.report["samples"], "samples,", event.report["selected_by"])


async def main() -> None:
    """Let the agent order, and show every decision on the way."""
    get_dispatcher().add_event_handler(Decisions())
    middleware = Middleware.from_config({"version": 1, "policies": {"default": VOTE}})
    llm = AdaptiveLLM(llm=MockFunctionCallingLLM(response_generator=model), middleware=middleware)
    print(await FunctionAgent(tools=[order], llm=llm).run("We need 4 dozen boxes of pens."))


if __name__ == "__main__":
    asyncio.run(main())
