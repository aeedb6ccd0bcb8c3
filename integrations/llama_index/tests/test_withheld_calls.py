"""A tool call that must not be wrong never runs in an agent unless it is sure enough; the agent says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.strategies.careful import careful
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.tool_rules import ToolRule
from llama_index_adaptive import AdaptiveLLM

pytestmark = [  # warnings of workflows about LlamaIndex's own agents, as in test_agents.py
    pytest.mark.filterwarnings("ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20:inspect"),
    pytest.mark.filterwarnings(
        "ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211:inspect"
    ),
]
RULES = (ToolRule("deploy", target=0.97, on_fail="abstain"),)
WHY = "deploy must be right with probability 0.97, and the best of 3 answers reaches 0.600"


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("p", "ran"), [(0.6, []), (0.98, [7])])
async def test_a_call_runs_exactly_when_it_is_sure_enough(
    script: Any, calls: Callable[..., ChatMessage], streaming: bool, p: float, ran: list[int]
) -> None:
    deployed: list[int] = []

    def deploy(version: int) -> str:
        """Deploy a version."""
        deployed.append(version)
        return "deployed"

    rule = Rule("tools", careful(best_of_n(fixed(1), max_samples=3), RULES), tools=RULES)
    middleware = Middleware(rules=[rule], scorer=TableScorer(p))
    model = script([calls("deploy", version=7)] * (1 if ran else 3) + ["Done."])
    llm = AdaptiveLLM(llm=model.model(), middleware=middleware)
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(deploy)], llm=llm, streaming=streaming)
    result: Any = await agent.run("Deploy 7")
    assert deployed == ran
    advice = "Ask for what is missing, or let a person decide."
    said = "Done." if ran else f"No tool was called: {WHY}. {advice}"
    assert result.response.content == said
    assert len(model.calls) == (2 if ran else 3)
