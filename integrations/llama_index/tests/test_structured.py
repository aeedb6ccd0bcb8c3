from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.mock import MockFunctionCallingLLM
from pydantic import BaseModel

from adaptive_middleware import Middleware
from adaptive_middleware.effects import Begin, Flow, Follow
from adaptive_middleware.types import Outcome, Request
from llama_index_adaptive import AdaptiveLLM


class Person(BaseModel):
    """A person."""

    name: str


def person(name: str, text: str | None = None) -> ChatMessage:
    """An answer that calls the tool `Person`, told where LlamaIndex's streaming programs look for it."""
    selection = ToolSelection(tool_id="id", tool_name="Person", tool_kwargs={"name": name})
    return ChatMessage(text, role="assistant", additional_kwargs={"tool_calls": [selection]})


NAMELESS = ToolSelection(tool_id="id", tool_name="Person", tool_kwargs={"age": 36})
PROMPT = PromptTemplate("Who is {who}?")


async def every_person(llm: Any) -> list[Any]:
    streamed = list(llm.stream_structured_predict(Person, PROMPT, who="she"))
    astream = await llm.astream_structured_predict(Person, PROMPT, who="she")
    return [
        llm.structured_predict(Person, PROMPT, who="she"),
        await llm.astructured_predict(Person, PROMPT, who="she"),
        streamed[-1],
        [found async for found in astream][-1],
    ]


async def test_structured_predictions_come_from_tool_calls(wrap: Any, script: Any) -> None:
    model = script([person("Ada")])
    assert [found.name for found in await every_person(wrap(model.model()))] == ["Ada"] * 4
    assert len(model.calls) == 4 * wrap.n
    assert {call["messages"][-1].content for call in model.calls} == {"Who is she?"}


async def test_the_chosen_sample_is_the_structured_prediction(
    best_of: Callable[[int], Middleware], script: Any
) -> None:
    samples = [
        person("Eve", "bad"),
        person("Ada", "good"),
        person("Eve", "bad"),
    ]
    llm = AdaptiveLLM(llm=script(samples * 4).model(), middleware=best_of(3), max_concurrency=1)
    assert [found.name for found in await every_person(llm)] == ["Ada"] * 4


async def test_structured_predictions_of_a_text_model_are_read_from_its_text(wrap: Any, texts: Any) -> None:
    model = texts(['{"name": "Ada"}'])
    llm = wrap(model)
    assert llm.structured_predict(Person, PROMPT, who="she") == Person(name="Ada")
    assert await llm.astructured_predict(Person, PROMPT, who="she") == Person(name="Ada")
    assert len(model.script.calls) == 2 * wrap.n


async def test_a_structured_model_speaks_json(wrap: Any, script: Any) -> None:
    model = script([person("Ada")])
    structured = wrap(model.model()).as_structured_llm(Person)
    ada = '{"name":"Ada"}'
    assert structured.chat([ChatMessage("Who?")]).message.content == ada
    assert (await structured.achat([ChatMessage("Who?")])).message.content == ada
    assert structured.complete("Who?").text == ada
    assert len(model.calls) == 3 * wrap.n


# LlamaIndex writes each streamed object with pydantic's deprecated `json`.
@pytest.mark.filterwarnings(
    "ignore:The `json` method is deprecated:pydantic.warnings.PydanticDeprecatedSince20"
)
async def test_a_structured_model_streams_json(wrap: Any, script: Any) -> None:
    model = script([person("Ada")])
    structured = wrap(model.model()).as_structured_llm(Person)
    ada = '{"name":"Ada"}'
    assert list(structured.stream_chat([ChatMessage("Who?")]))[-1].message.content == ada
    astream = await structured.astream_chat([ChatMessage("Who?")])
    assert [piece async for piece in astream][-1].message.content == ada
    assert len(model.calls) == 2 * wrap.n


class Growing(MockFunctionCallingLLM):
    """Streams a person as JSON, or as a tool call whose arguments grow."""

    calls: bool = False

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        for text, delta in (('{"name": "A', '{"name": "A'), ('{"name": "Ada"}', 'da"}')):
            call = person("Ada" if text.endswith("}") else "A")
            message = call if self.calls else ChatMessage(text, role="assistant")
            yield ChatResponse(message=message, delta="" if self.calls else delta)

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        async def people() -> Any:
            for response in self.stream_chat(messages):
                yield response

        return people()


def follows(request: Request) -> Flow[Outcome]:
    (path,) = yield from Begin(request, 1)
    path = yield from Follow(request, path)
    return Outcome(chosen=path, limit=2)


# what has no text is shown when it is whole: half a tool call must not be taken for a whole one
@pytest.mark.parametrize(("calls", "names"), [(False, ["A", "Ada", "Ada"]), (True, ["Ada"])])
async def test_a_followed_prediction_is_streamed_while_its_text_grows(calls: bool, names: list[str]) -> None:
    llm: Any = AdaptiveLLM(llm=Growing(calls=calls), middleware=Middleware(follows))
    assert [found.name for found in llm.stream_structured_predict(Person, PROMPT, who="she")] == names
    astream = await llm.astream_structured_predict(Person, PROMPT, who="she")
    assert [found.name async for found in astream] == names


async def test_no_tool_call_and_a_wrong_one_are_the_errors_they_are_unwrapped(wrap: Any, script: Any) -> None:
    wrong = ChatMessage("good", role="assistant", additional_kwargs={"tool_calls": [NAMELESS]})
    for answer, words in (
        (wrong, "could not be parsed into Person"),
        ("good", "did not return any tool call"),
    ):
        llm = wrap(script([answer]).model())
        with pytest.raises(ValueError, match=words):
            llm.structured_predict(Person, PROMPT, who="she")
        with pytest.raises(ValueError, match=words):
            await llm.astructured_predict(Person, PROMPT, who="she")


async def test_the_chosen_sample_is_what_a_structured_model_says(
    best_of: Callable[[int], Middleware], script: Any
) -> None:
    samples = [person("Eve", "bad"), person("Ada", "good"), person("Eve", "bad")]
    llm = AdaptiveLLM(llm=script(samples * 3).model(), middleware=best_of(3), max_concurrency=1)
    structured = llm.as_structured_llm(Person)
    chats = [structured.chat([ChatMessage("Who?")]), await structured.achat([ChatMessage("Who?")])]
    assert [chat.raw for chat in chats] == [Person(name="Ada")] * 2
    assert structured.complete("Who?").text == '{"name":"Ada"}'


class Native(MockFunctionCallingLLM):
    """Has a structured output of its own, as several providers' models do."""

    def structured_predict(self, output_cls: Any, *_: Any, **__: Any) -> Any:
        return output_cls(name="native")

    async def astructured_predict(self, output_cls: Any, *_: Any, **__: Any) -> Any:
        return output_cls(name="native")

    def stream_structured_predict(self, output_cls: Any, *_: Any, **__: Any) -> Any:
        yield output_cls(name="native")

    async def astream_structured_predict(self, output_cls: Any, *_: Any, **__: Any) -> Any:
        async def people() -> Any:
            yield output_cls(name="native")

        return people()


@pytest.mark.parametrize(("n", "name"), [(1, "native"), (3, "Ada")])
async def test_native_structured_output_is_used_when_nothing_is_sampled(
    best_of: Callable[[int], Middleware], script: Any, n: int, name: str
) -> None:
    model = Native(response_generator=script([person("Ada")]), is_chat_model=True)
    llm = AdaptiveLLM(llm=model, middleware=Middleware() if n == 1 else best_of(n))
    assert [found.name for found in await every_person(llm)] == [name] * 4
