from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core import PromptTemplate, Settings
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms.mock import MockLLM
from llama_index.core.rate_limiter import BaseRateLimiter, TokenBucketRateLimiter
from llama_index_instrumentation import get_dispatcher
from pydantic import ValidationError

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.types import Request
from llama_index_adaptive import AdaptiveEvent, AdaptiveLLM

HELLO = [ChatMessage("hello")]


def counter() -> TokenCountingHandler:
    return TokenCountingHandler(tokenizer=str.split)


def told(handler: TokenCountingHandler) -> tuple[int, int]:
    return handler.prompt_llm_token_count, handler.completion_llm_token_count


def test_prompts_parser_and_managers_are_those_of_the_model_unless_given() -> None:
    def to_prompt(messages: Any) -> str:
        return f"{len(messages)} messages"

    inner = MockLLM(
        system_prompt="Be brief.", messages_to_prompt=to_prompt, callback_manager=CallbackManager([])
    )
    llm = AdaptiveLLM(llm=inner)
    assert (llm.system_prompt, llm.messages_to_prompt) == ("Be brief.", to_prompt)
    assert llm.completion_to_prompt is inner.completion_to_prompt
    assert llm.callback_manager is inner.callback_manager
    assert (llm.output_parser, llm.pydantic_program_mode) == (
        inner.output_parser,
        inner.pydantic_program_mode,
    )
    assert AdaptiveLLM(llm=inner, system_prompt="Be long.").system_prompt == "Be long."
    llm.system_prompt = "Be kind."
    assert inner.system_prompt == "Be brief."


def test_the_callback_manager_and_the_rate_limiter_are_shared_with_the_model() -> None:
    manager, limiter = CallbackManager([]), TokenBucketRateLimiter(requests_per_minute=60)
    given = AdaptiveLLM(llm=MockLLM(), callback_manager=manager, rate_limiter=limiter)
    later = AdaptiveLLM(llm=MockLLM())
    later.callback_manager, later.rate_limiter = manager, limiter
    for llm in (given, later):
        assert (llm.llm.callback_manager, llm.llm.rate_limiter) == (manager, limiter)
    own = MockLLM()
    own.rate_limiter = limiter
    assert AdaptiveLLM(llm=own).rate_limiter is own.rate_limiter is limiter


class Limiter(BaseRateLimiter):
    acquired: int = 0

    def acquire(self, num_tokens: int = 0) -> None:
        self.acquired += 1

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.acquired += 1


async def test_every_model_call_asks_the_rate_limiter_once(wrap: Any, script: Any) -> None:
    llm, limiter = wrap(script(["good"]).provider()), Limiter()
    llm.rate_limiter = limiter
    llm.chat(HELLO)
    await llm.achat(HELLO)
    assert limiter.acquired == 2 * wrap.n


async def test_tokens_are_counted_once_for_every_model_call(wrap: Any, script: Any) -> None:
    handler = counter()
    llm = wrap(script(["good"]).provider(callback_manager=CallbackManager([handler])))
    llm.chat(HELLO)
    assert told(handler) == (8 * wrap.n, 3 * wrap.n)
    await llm.achat(HELLO)
    assert told(handler) == (16 * wrap.n, 6 * wrap.n)


def test_the_models_in_settings_are_counted_by_the_handlers_in_settings(wrap: Any, script: Any) -> None:
    handler = counter()
    Settings.callback_manager = CallbackManager([handler])
    Settings.llm = wrap(script(["good"]).provider())
    assert Settings.llm.predict(PromptTemplate("1 + 2?")) == "good"
    assert told(handler) == (8 * wrap.n, 3 * wrap.n)


class Events(BaseEventHandler):
    seen: list[Any] = []  # noqa: RUF012 - pydantic copies it

    def handle(self, event: Any, **_: Any) -> None:
        self.seen.append(event)

    def counts(self) -> Counter[str]:
        return Counter(type(event).__name__ for event in self.seen)


@pytest.fixture(name="events")
def _events() -> Iterator[Events]:
    root, handler = get_dispatcher(), Events()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


async def test_events_are_emitted_once_for_every_model_call(wrap: Any, script: Any, events: Events) -> None:
    llm = wrap(script(["good"]).provider())
    llm.chat(HELLO)
    await llm.achat(HELLO)
    counts = events.counts()
    assert (counts["LLMChatStartEvent"], counts["LLMChatEndEvent"]) == (2 * wrap.n, 2 * wrap.n)
    assert counts["AdaptiveEvent"] == (2 if wrap.n > 1 else 0)


def test_the_report_is_an_event_too(best_of: Callable[[int], Middleware], events: Events) -> None:
    chosen = AdaptiveLLM(llm=MockLLM(), middleware=best_of(2)).chat(HELLO)
    (event,) = [event for event in events.seen if isinstance(event, AdaptiveEvent)]
    assert event.report == chosen.additional_kwargs["adaptive"]
    assert event.class_name() == "AdaptiveEvent"


async def test_a_pickled_model_decides_as_before() -> None:
    middleware = Middleware(best_of_n(fixed(2)), scorer=TableScorer(0.5))
    llm = AdaptiveLLM(llm=MockLLM(max_tokens=2), middleware=middleware, tags=["a"], max_concurrency=3)
    before = await llm.achat(HELLO)
    again = pickle.loads(pickle.dumps(llm))  # noqa: S301 - our own bytes
    assert await again.achat(HELLO) == before
    assert before.additional_kwargs["adaptive"]["samples"] == 2
    assert (again.tags, again.max_concurrency, again.llm.max_tokens) == (("a",), 3, 2)


def test_what_cannot_be_pickled_is_refused_by_name_instead_of_lost() -> None:
    class Local(MockLLM):
        pass

    rule = Rule("local", best_of_n(fixed(2), score=False), when=lambda _: True)
    llm = AdaptiveLLM(llm=MockLLM(), middleware=Middleware(rules=[rule]))
    with pytest.raises(pickle.PicklingError, match="the middleware of this AdaptiveLLM cannot be pickled"):
        pickle.dumps(llm)
    assert llm.chat(HELLO).additional_kwargs["adaptive"]["rule"] == "local"
    with pytest.raises(pickle.PicklingError, match="the llm of this AdaptiveLLM cannot be pickled"):
        pickle.dumps(AdaptiveLLM(llm=Local(max_tokens=None)))


def test_its_dictionary_nests_the_model_and_names_the_rules_that_sample(
    best_of: Callable[[int], Middleware],
) -> None:
    llm = AdaptiveLLM(llm=MockLLM(max_tokens=2), middleware=best_of(3), tags=["a"])
    found = json.loads(llm.to_json())
    assert (found["class_name"], found["tags"], found["max_concurrency"]) == ("adaptive_llm", ["a"], 16)
    assert (found["llm"]["class_name"], found["llm"]["max_tokens"]) == ("MockLLM", 2)
    assert found["middleware"] == ["default"]
    assert json.loads(AdaptiveLLM(llm=MockLLM()).to_json())["middleware"] == []


def test_a_model_comes_back_from_its_dictionary_as_it_was(best_of: Callable[[int], Middleware]) -> None:
    inner = AdaptiveLLM(llm=MockLLM(max_tokens=2, system_prompt="Be brief."), max_concurrency=2)
    for llm, given in (
        (inner, {}),
        (AdaptiveLLM(llm=inner, tags=["a"], idle=5), {}),
        (AdaptiveLLM(llm=inner, middleware=best_of(2)), {"middleware": best_of(2)}),
    ):
        for again in (
            AdaptiveLLM.from_dict(llm.to_dict(), **given),
            AdaptiveLLM.from_json(llm.to_json(), **given),
        ):
            assert again.to_dict() == llm.to_dict()
            assert again.chat(HELLO) == llm.chat(HELLO)


def test_what_a_dictionary_cannot_hold_is_asked_for_instead_of_lost(
    best_of: Callable[[int], Middleware], script: Any
) -> None:
    model = script(["bad", "good"]).model()
    llm = AdaptiveLLM(llm=model, middleware=best_of(2), max_concurrency=1)
    data = llm.to_dict()
    with pytest.raises(ConfigError, match=r"model 'MockFunctionCallingLLM'.*from_dict\(data, llm=\.\.\.\)"):
        AdaptiveLLM.from_dict(data, middleware=llm.middleware)
    with pytest.raises(
        ConfigError, match=r"names of rules, here \['default'\].*from_dict\(data, middleware="
    ):
        AdaptiveLLM.from_dict(data, llm=model)
    assert data == llm.to_dict()
    again = AdaptiveLLM.from_dict(data, llm=model, middleware=llm.middleware)
    assert again.chat(HELLO).message.content == "good"


def test_observers_are_told_of_the_model_under_the_wrappers_name() -> None:
    payload = AdaptiveLLM(llm=MockLLM(max_tokens=2)).to_payload()
    assert (payload["class_name"], payload["num_output"]) == ("adaptive_llm", 2)


def test_it_has_a_json_schema() -> None:
    assert {"llm", "middleware", "tags", "max_concurrency"} <= set(
        AdaptiveLLM.model_json_schema()["properties"]
    )


@pytest.mark.parametrize(
    "wrong",
    [{"llm": "gpt"}, {"middleware": "adaptive.yaml"}, {"tags": "codegen"}, {"max_concurrency": 0}],
    ids=str,
)
def test_wrong_settings_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        AdaptiveLLM(**{"llm": MockLLM(), **wrong})


def test_a_wrapped_model_can_be_wrapped_again(best_of: Callable[[int], Middleware], texts: Any) -> None:
    model = texts(["good"])
    assert AdaptiveLLM(llm=AdaptiveLLM(llm=model), middleware=best_of(2)).complete("hi").text == "good"
    assert len(model.script.calls) == 2


def test_a_rule_can_ask_for_the_model_by_name(texts: Any) -> None:
    def named(request: Request) -> bool:
        return request.model == "text-model"

    llm = AdaptiveLLM(
        llm=texts(["good"]), middleware=Middleware(rules=[Rule("named", best_of_n(fixed(2)), when=named)])
    )
    assert llm.chat(HELLO).additional_kwargs["adaptive"]["rule"] == "named"
