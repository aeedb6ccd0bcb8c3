"""A policy in shadow: the wrapped model's own response, and its stream while it is written, with one empty piece at the end."""

from llama_index.core.llms import ChatMessage, MockLLM

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.types import Outcome, Request
from llama_index_adaptive import AdaptiveLLM

MESSAGES = [ChatMessage(role="user", content="What is 2 + 2?")]


class Told:
    def __init__(self) -> None:
        self.shadows: list[int | None] = []

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        self.shadows.append(outcome.shadow)


async def test_what_the_caller_gets_is_what_the_wrapped_model_gives() -> None:
    told, bare = Told(), MockLLM(max_tokens=4)
    rule = Rule("code", best_of_n(fixed(3)), shadow=True)
    middleware = Middleware(rules=[rule], scorer=TableScorer(0.5), observers=[told])
    wrapped = AdaptiveLLM(llm=bare, middleware=middleware)
    assert wrapped.chat(MESSAGES) == bare.chat(MESSAGES)
    assert await wrapped.achat(MESSAGES) == await bare.achat(MESSAGES)
    assert wrapped.complete("2 + 2 =") == bare.complete("2 + 2 =")
    *pieces, last = [one.delta for one in wrapped.stream_chat(MESSAGES)]
    assert (pieces, last) == ([one.delta for one in bare.stream_chat(MESSAGES)], "")
    assert middleware._now.shadowing is not None
    middleware._now.shadowing.wait()
    assert told.shadows == [3] * 4
