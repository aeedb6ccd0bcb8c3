"""What the agent middleware costs where it passes every call through, beside one that does nothing; prints JSON.

Run as `python -m bench.agents`. The model has zero latency; each figure is a ratio of medians, measured side by side.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse

from adaptive_middleware import Middleware
from bench.minimal_chat import Minimal
from bench.overhead import Case, medians
from langchain_adaptive import AdaptiveComputeMiddleware


class Nothing(AgentMiddleware[Any, Any, Any]):
    """The least that a middleware with the hook can do."""

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """The model's own response."""
        return await handler(request)


def turn(*middleware: AgentMiddleware[Any, Any, Any]) -> Case:
    """One turn of an agent without tools."""
    agent: Any = create_agent(Minimal(), [], middleware=middleware)
    return lambda: agent.ainvoke({"messages": [("user", "2 + 2?")]})


async def agents(repeats: int = 40) -> dict[str, float]:
    """`agent_middleware_vs_noop`: what ours adds to a turn, in units of what one that does nothing adds.

    `agent_turn_vs_noop` is the ratio of the two whole turns.
    """
    ours = AdaptiveComputeMiddleware(Middleware())
    cases = {"bare": turn(), "noop": turn(Nothing()), "ours": turn(ours)}
    took = await medians(cases, repeats)
    added = (took["ours"] - took["bare"]) / (took["noop"] - took["bare"])
    return {"agent_middleware_vs_noop": added, "agent_turn_vs_noop": took["ours"] / took["noop"]}


if __name__ == "__main__":
    found = asyncio.run(agents())
    figures = {name: round(value, 3) for name, value in found.items()}
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
