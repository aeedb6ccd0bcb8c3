"""LangChain's model router asks our decision model: easy questions go to one model, hard ones to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("langchain_core.decisions", reason="decision models need langchain-core 1.8 or later")
pytest.importorskip(
    "langchain.agents.middleware.model_router", reason="the router needs langchain 1.5 or later"
)

from langchain.agents import create_agent
from langchain.agents.middleware.auto_mode import AutoModeMiddleware
from langchain.agents.middleware.model_router import ModelChoice, ModelRouterMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.errors import NotAnswerable
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import Estimate, Path, Request, StepScores
from langchain_adaptive import AdaptiveComputeMiddleware, AdaptiveDecisionModel

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")


class Difficulty:
    """Short questions are easy."""

    def score(self, request: Request, paths: list[Path]) -> list[StepScores]:
        return [StepScores((0.9 if len(request.text) < 10 else 0.3,)) for _ in paths]


def as_it_is(path: Path, scores: StepScores) -> Estimate:
    return Estimate(scores.values[-1], 0.0, 1.0)


@pytest.fixture
def router(chat: Callable[..., ChatOpenAI]) -> Any:
    routes = {"fast": ("constant+fast", 0.7), "strong": ("constant+strong", 0.0)}
    return ModelRouterMiddleware(
        choices={
            name: ModelChoice(model=chat(model), criteria={"at_least": need})
            for name, (model, need) in routes.items()
        },
        instructions="Which model is good enough?",
        classifier=AdaptiveDecisionModel(scorer=Difficulty(), calibrate=as_it_is),
    )


@pytest.mark.parametrize(("text", "route"), [("Easy?", "fast"), ("A long and hard question", "strong")])
async def test_the_router_sends_each_question_to_the_model_that_is_good_enough(
    server: Server, chat: Any, router: Any, text: str, route: str
) -> None:
    agent: Any = create_agent(chat(), [], middleware=[router])
    question = {"messages": [HumanMessage(text)]}
    states = [agent.invoke(question), await agent.ainvoke(question)]
    assert [body["model"] for body in server.calls] == [f"fake+constant+{route}"] * 2
    assert [state["model_route"].choice for state in states] == [route] * 2


@pytest.mark.parametrize("order", ["outside", "inside"])
def test_the_router_chooses_the_model_and_our_middleware_the_samples(
    server: Server, chat: Any, router: Any, order: str
) -> None:
    ours = AdaptiveComputeMiddleware(Middleware(best_of_n(fixed(3), max_samples=3, score=False)))
    stack = [ours, router] if order == "outside" else [router, ours]
    agent: Any = create_agent(chat(), [], middleware=stack)
    agent.invoke({"messages": [HumanMessage("A long and hard question")]})
    assert [body["model"] for body in server.calls] == ["fake+constant+strong"] * 3


def test_the_router_with_criteria_in_words_is_refused(chat: Any) -> None:
    router: Any = ModelRouterMiddleware(
        choices={"fast": ModelChoice(model=chat(), criteria="Simple tasks.")},
        instructions="Which?",
        classifier=AdaptiveDecisionModel(scorer=Difficulty(), calibrate=as_it_is),
    )
    agent: Any = create_agent(chat(), [], middleware=[router])
    with pytest.raises(NotAnswerable, match="'at_least': chance of success"):
        agent.invoke({"messages": [HumanMessage("Hi")]})


def test_whether_a_tool_call_is_risky_is_not_ours_to_say(chat: Any) -> None:
    """A tool call that is likely right may still be dangerous: the gate must not open by our probability."""

    @tool
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    scorer = TableScorer(0.99)
    gate = AutoModeMiddleware(
        tools=[double], classifier=AdaptiveDecisionModel(scorer=scorer, calibrate=as_it_is)
    )
    agent: Any = create_agent(chat("split"), [double], middleware=[gate])
    with pytest.raises(NotAnswerable, match="reads neither instructions nor criteria"):
        agent.invoke({"messages": [HumanMessage("Double 10")]})
    assert scorer.seen == []
