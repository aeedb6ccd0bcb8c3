from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.mock import MockLLM

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.effects import Flow, Sample
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.types import Outcome, Path, Request
from llama_index_adaptive import AdaptiveLLM

HELLO = [ChatMessage("hello")]


async def every_text(llm: LLM, prompt: str) -> list[str]:
    """What all eight entry points answer: the text of the last piece, and all deltas joined."""
    messages = [ChatMessage(prompt)]
    chats = list(llm.stream_chat(messages))
    achats = [piece async for piece in await llm.astream_chat(messages)]
    completions = list(llm.stream_complete(prompt))
    acompletions = [piece async for piece in await llm.astream_complete(prompt)]
    return [
        str(llm.chat(messages).message.content),
        str((await llm.achat(messages)).message.content),
        llm.complete(prompt).text,
        (await llm.acomplete(prompt)).text,
        str(chats[-1].message.content),
        str(achats[-1].message.content),
        completions[-1].text,
        acompletions[-1].text,
        *("".join(piece.delta or "" for piece in pieces) for pieces in (chats, achats)),
        *("".join(piece.delta or "" for piece in pieces) for pieces in (completions, acompletions)),
    ]


async def test_every_entry_point_gives_the_models_text(wrap: Any) -> None:
    echo = "user: hi\nassistant: "
    assert await every_text(wrap(MockLLM()), "hi") == [echo, echo, "hi", "hi"] * 2 + [echo, echo, "hi", "hi"]


async def test_every_entry_point_costs_the_samples_it_should(wrap: Any, texts: Any) -> None:
    model = texts(["good"])
    assert set(await every_text(wrap(model), "hi")) == {"good"}
    assert len(model.script.calls) == 8 * wrap.n


async def test_every_entry_point_returns_the_best_of_its_samples(
    best_of: Callable[[int], Middleware], texts: Any
) -> None:
    model = texts(["bad", "good", "poor"] * 8)
    llm = AdaptiveLLM(llm=model, middleware=best_of(3), max_concurrency=1)
    assert set(await every_text(llm, "hi")) == {"good"}
    assert len(model.script.calls) == 24


async def test_predict_and_stream_answer_from_a_prompt(wrap: Any, texts: Any) -> None:
    prompt = PromptTemplate("{a} + {b}?")
    model = texts(["good"], system_prompt="Be brief.")
    llm = wrap(model)
    assert llm.predict(prompt, a=1, b=2) == await llm.apredict(prompt, a=1, b=2) == "good"
    assert "".join(llm.stream(prompt, a=1, b=2)) == "good"
    assert "".join([token async for token in await llm.astream(prompt, a=1, b=2)]) == "good"
    asked = {str(call["messages"][0].content) for call in model.script.calls}
    assert asked == {"Be brief.\n\n1 + 2?"}
    assert len(model.script.calls) == 4 * wrap.n


class Remembers(MockLLM):
    """Keeps every object that it returned."""

    _returned: list[Any] = PrivateAttr(default_factory=list)

    @property
    def returned(self) -> list[Any]:
        return self._returned

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        response: ChatResponse = super().chat(messages, **kwargs)
        self.returned.append(response)
        return response

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        response: CompletionResponse = super().complete(prompt, formatted=formatted, **kwargs)
        self.returned.append(response)
        return response


async def test_a_call_that_passes_through_returns_the_models_own_object() -> None:
    model = Remembers(max_tokens=None)
    llm = AdaptiveLLM(llm=model)
    answers: list[object] = [
        llm.chat(HELLO),
        await llm.achat(HELLO),
        llm.complete("hi"),
        await llm.acomplete("hi"),
    ]
    # a chat of this model is built from a completion, so each chat leaves two objects
    assert [id(answer) for answer in answers] == [id(model.returned[i]) for i in (1, 3, 4, 5)]
    assert all(returned.additional_kwargs == {} for returned in model.returned)


async def test_a_single_sample_limit_returns_the_models_own_object_too() -> None:
    model = Remembers(max_tokens=None)
    llm = AdaptiveLLM(llm=model, middleware=Middleware(best_of_n(fixed(1), max_samples=1, score=False)))
    answers: list[object] = [llm.chat(HELLO), await llm.acomplete("hi")]
    assert [id(answer) for answer in answers] == [id(model.returned[1]), id(model.returned[2])]


async def test_a_stream_that_passes_through_is_live() -> None:
    llm = AdaptiveLLM(llm=MockLLM(max_tokens=3))
    for pieces in (llm.stream_chat(HELLO), llm.stream_complete("hi")):
        assert isinstance(pieces, Generator)
        assert len(list(pieces)) == 3
    for apieces in (await llm.astream_chat(HELLO), await llm.astream_complete("hi")):
        assert isinstance(apieces, AsyncGenerator)
        assert len([piece async for piece in apieces]) == 3


async def test_a_sampled_stream_is_one_piece_with_the_report(best_of: Callable[[int], Middleware]) -> None:
    llm = AdaptiveLLM(llm=MockLLM(max_tokens=3), middleware=best_of(2))
    for pieces in (llm.stream_chat(HELLO), llm.stream_complete("hi")):
        assert isinstance(pieces, Generator)
        (piece,) = pieces
        assert (piece.delta, piece.additional_kwargs["adaptive"]["samples"]) == ("text text text", 2)
    for apieces in (await llm.astream_chat(HELLO), await llm.astream_complete("hi")):
        assert isinstance(apieces, AsyncGenerator)
        (piece,) = [piece async for piece in apieces]
        assert (piece.delta, piece.additional_kwargs["adaptive"]["samples"]) == ("text text text", 2)


async def test_the_report_says_what_was_decided_and_the_models_object_stays_as_it_was(
    best_of: Callable[[int], Middleware],
) -> None:
    model = Remembers(max_tokens=None)
    llm = AdaptiveLLM(llm=model, middleware=best_of(3))
    for got in (llm.chat(HELLO), await llm.achat(HELLO), llm.complete("hi"), await llm.acomplete("hi")):
        report = got.additional_kwargs["adaptive"]
        assert (report["p"], report["samples"], report["chosen"]) == (0.1, 3, 0)
        assert report["usage"]["requests"] == 3
    assert all(returned.additional_kwargs == {} for returned in model.returned)


async def test_arguments_reach_the_model_as_they_were_given(wrap: Any, texts: Any) -> None:
    model = texts(["good"])
    llm = wrap(model)
    llm.complete("hi", formatted=True, temperature=0.5)
    await llm.acomplete("hi", formatted=True, temperature=0.5)
    assert all(call["formatted"] is True and call["temperature"] == 0.5 for call in model.script.calls)


def test_chat_arguments_and_messages_are_handed_on_untouched(wrap: Any, script: Any) -> None:
    tools, answers = [{"name": "add"}], script(["good"])
    wrap(answers.model()).chat(HELLO, tools=tools, temperature=0.5, stop=None)
    wrap(answers.model()).chat(HELLO, tools=None)
    first, second = answers.calls[0], answers.calls[-1]
    assert first["messages"][0] is HELLO[0]
    assert first["tools"] is tools
    assert (first["temperature"], first["stop"]) == (0.5, None)
    assert second["tools"] is None


async def test_the_model_may_be_called_without_messages_but_not_without_arguments(wrap: Any) -> None:
    llm = wrap(MockLLM())
    assert llm.chat([]).message.content == "assistant: "
    with pytest.raises(TypeError):
        llm.chat()
    with pytest.raises(TypeError):
        await llm.achat()


def test_rules_see_tags_model_text_tools_and_parameters(texts: Any, script: Any) -> None:
    seen: list[Request] = []

    def looks(request: Request) -> bool:
        seen.append(request)
        return "codegen" in request.tags

    rule = Rule("codegen", best_of_n(fixed(2), score=False), when=looks)
    tagged = AdaptiveLLM(llm=texts(["good"]), middleware=Middleware(rules=[rule]), tags=["codegen"])
    plain = AdaptiveLLM(llm=script(["good"]).model(), middleware=Middleware(rules=[rule]))
    assert tagged.complete("hi").additional_kwargs["adaptive"]["rule"] == "codegen"
    assert plain.chat(HELLO, tools=["t"], temperature=0.5).additional_kwargs == {}
    assert (seen[0].tags, seen[0].model, seen[0].text) == (frozenset({"codegen"}), "text-model", "hi")
    assert (seen[-1].tools, seen[-1].parameters, seen[-1].text) == (["t"], {"temperature": 0.5}, "hello")
    assert seen[-1].messages is HELLO


def test_a_strategy_may_change_the_parameters_of_its_samples(texts: Any) -> None:
    def hot(request: Request) -> Flow[Outcome]:
        (path,) = yield from Sample(replace(request, parameters={"temperature": 1.5}), 1)
        return Outcome(chosen=path)

    model = texts(["good"])
    assert AdaptiveLLM(llm=model, middleware=Middleware(hot)).complete("hi").text == "good"
    assert model.script.calls[0]["temperature"] == 1.5


def test_a_strategy_that_returns_a_path_of_its_own_is_told_so() -> None:
    def inventive(request: Request) -> Flow[Outcome]:
        yield from Sample(request, 1)
        return Outcome(chosen=Path(("mine",)), strategy="inventive")

    llm = AdaptiveLLM(llm=MockLLM(), middleware=Middleware(inventive))
    with pytest.raises(SamplerError, match="'inventive' chose a path whose raw is None, not a ChatResponse"):
        llm.chat(HELLO)
