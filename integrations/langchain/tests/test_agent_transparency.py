"""A middleware that passes calls through cannot be seen from the provider's side, whatever was said before."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveComputeMiddleware

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
values = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | words | st.lists(words, max_size=2)
arguments = st.dictionaries(words, values, max_size=3)
image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
human = st.builds(HumanMessage, words | words.map(lambda text: [{"type": "text", "text": text}, image]))


@st.composite
def turns(draw: st.DrawFn) -> list[BaseMessage]:
    """A user's turn and an answer, plain or through one to three tool calls at once."""
    begun: list[BaseMessage] = [draw(human)]
    calls = [
        {"name": draw(st.sampled_from(["double", "gone"])), "args": draw(arguments), "id": f"call-{k}"}
        for k in range(draw(st.integers(0, 3)))
    ]
    if calls:
        begun.append(AIMessage(draw(words), tool_calls=calls))
        begun += [ToolMessage(draw(words), tool_call_id=call["id"], name=call["name"]) for call in calls]
    return [*begun, AIMessage(draw(words))]


conversations = st.builds(
    lambda before, last: [message for turn in before for message in turn] + [last],
    st.lists(turns(), max_size=3),
    human,
)


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def test_requests_upstream_are_byte_for_byte_those_of_the_agent_without_it(
    server: Server, chat: Callable[..., ChatOpenAI]
) -> None:
    never = Rule("never", best_of_n(fixed(3), max_samples=3), when=lambda request: "never" in request.tags)
    ours = AdaptiveComputeMiddleware(Middleware(rules=[never]))
    agents: list[Any] = [
        create_agent(chat(), [double], system_prompt="Be brief.", middleware=stack) for stack in ([ours], [])
    ]

    @settings(max_examples=200, deadline=None)
    @given(conversation=conversations)
    def checked(conversation: list[BaseMessage]) -> None:
        sent = []
        for agent in agents:
            server.reset()
            agent.invoke({"messages": [message.model_copy() for message in conversation]})
            sent.append([json.dumps(body) for body in server.calls])
        assert sent[0] == sent[1]
        assert len(sent[0]) == 2

    checked()
