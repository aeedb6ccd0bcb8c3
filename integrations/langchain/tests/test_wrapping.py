"""What can be wrapped, and that nothing of what was wrapped is lost."""

import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any, cast

import openai
import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun, UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import ConfigurableField, Runnable, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ValidationError

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.errors import ConfigError, SamplerError
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveChatModel

Chat = Callable[..., ChatOpenAI]


class Point(BaseModel):
    """A point in the plane."""

    x: int
    y: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def three(**fields: Any) -> dict[str, Any]:
    return {"middleware": Middleware(best_of_n(fixed(3), max_samples=3, score=False)), **fields}


@pytest.mark.parametrize(
    ("method", "sent"),
    [
        ("json_schema", {"response_format": "json_schema"}),
        ("json_mode", {"response_format": "json_object"}),
        ("function_calling", {"tool_choice": "Point"}),
    ],
)
@pytest.mark.parametrize("include_raw", [False, True])
async def test_structured_output_is_sampled_in_the_providers_own_form(
    server: Server, chat: Chat, method: str, sent: dict[str, str], include_raw: bool
) -> None:
    model = AdaptiveChatModel(inner=chat("constant"), **three())
    schema = None if method == "json_mode" else Point
    structured = model.with_structured_output(schema, method=method, include_raw=include_raw)
    answer: Any = await structured.ainvoke("Give me the point 3, 4 as 'x' and 'y'")
    parsed = answer["parsed"] if include_raw else answer
    assert parsed == ({"x": "the x", "y": "the y"} if method == "json_mode" else Point(x=3, y=4))
    assert len(server.calls) == 3
    for body in server.calls:
        forms = {"response_format": body.get("response_format", {}).get("type")}
        forms["tool_choice"] = (body.get("tool_choice") or {"function": {"name": None}})["function"]["name"]
        assert sent.items() <= forms.items()
    if include_raw:
        assert answer["raw"].response_metadata["adaptive"]["samples"] == 3


def test_bound_tools_are_the_inner_models_and_the_calls_the_wrappers(server: Server, chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat(), **three()).bind_tools([add], tool_choice="add", strict=True)
    answer = model.invoke("What is 3 + 4?")
    assert [call["args"] for call in answer.tool_calls] == [{"a": 3, "b": 4}]
    assert answer.response_metadata["adaptive"]["samples"] == len(server.calls) == 3
    bare = chat().bind_tools([add], tool_choice="add", strict=True)
    bare.invoke("What is 3 + 4?")
    assert server.calls[0] == server.calls[3]
    assert server.calls[0]["tools"][0]["function"]["strict"] is True


def test_what_is_bound_to_the_inner_model_goes_with_every_call(server: Server, chat: Chat) -> None:
    inner = chat().bind(temperature=0.3, stop=["42"]).bind(temperature=0.7)
    model = AdaptiveChatModel(inner=cast("BaseChatModel", inner), **three())
    assert model.invoke("Hi").content == "The answer is "
    assert model.bind_tools([add]).invoke("1 2").tool_calls
    assert [body["temperature"] for body in server.calls] == [0.7] * 6
    assert model.invoke("Hi", stop=["answer"], temperature=0.1).content == "The "
    assert server.calls[-1]["temperature"] == 0.1
    assert model._get_ls_params()["ls_temperature"] == 0.7
    other = AdaptiveChatModel(inner=chat(), **three())
    assert model._identifying_params != other._identifying_params


def test_binding_on_the_wrapper_works_as_on_any_chat_model(server: Server, chat: Chat) -> None:
    AdaptiveChatModel(inner=chat(), **three()).bind(temperature=0.2).invoke("Hi")
    assert [body["temperature"] for body in server.calls] == [0.2] * 3


@pytest.mark.parametrize(
    ("derive", "advice"),
    [
        (lambda model: model.with_retry(), "RunnableRetry, not a chat model: .* on the wrapper"),
        (
            lambda model: model.with_fallbacks([model]),
            "RunnableWithFallbacks, not a chat model: .* on the wrapper",
        ),
        (lambda model: model.with_structured_output(Point), "RunnableSequence, not a chat model"),
        (lambda model: model.with_config(tags=["a"]), "call with_config on the wrapper"),
        (lambda _model: "gpt", "inner is a str, not a chat model"),
        (lambda model: model.bind(n=4), "asks for n=4 choices"),
        (lambda model: model.model_copy(update={"n": 2}), "asks for n=2 choices"),
    ],
)
def test_what_cannot_be_wrapped_is_refused_with_advice(
    chat: Chat, derive: Callable[[ChatOpenAI], Any], advice: str
) -> None:
    with pytest.raises(ConfigError, match=advice):
        AdaptiveChatModel(inner=derive(chat()))


def test_wrong_fields_are_refused(chat: Chat) -> None:
    with pytest.raises(ConfigError, match="FakeListChatModel has no field n"):
        AdaptiveChatModel(inner=FakeListChatModel(responses=["a"]), native_n=True)
    with pytest.raises(ValidationError, match="max_concurrency"):
        AdaptiveChatModel(inner=chat(), max_concurrency=0)
    with pytest.raises(ValidationError, match="inner"):
        AdaptiveChatModel(middleware=Middleware())  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="Middleware"):
        AdaptiveChatModel(inner=chat(), middleware=fixed(3))
    with pytest.raises(ValidationError):
        AdaptiveChatModel.model_validate("gpt")


def test_retries_and_fallbacks_go_around_the_wrapper(server: Server, chat: Chat) -> None:
    failing = AdaptiveChatModel(inner=chat("fail"), **three())
    saved = failing.with_fallbacks([AdaptiveChatModel(inner=chat(), **three())])
    assert saved.invoke("Hi").content == "The answer is 42."
    assert len(server.calls) == 6
    again = failing.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    with pytest.raises(openai.InternalServerError):
        again.invoke("Hi")
    assert len(server.calls) == 12


class Elsewhere(FakeListChatModel):
    """Its tools live in a copy of the model, or where nobody can look."""

    hidden: bool = False

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        copy = self.model_copy(update={"responses": ["with tools"]})
        if self.hidden:
            return RunnableLambda(copy.invoke)
        both: RunnableParallel[Any] = RunnableParallel(answer=copy)
        return both | RunnableLambda(lambda found: found["answer"])


def test_a_model_that_binds_to_a_copy_of_itself_is_wrapped_as_that_copy() -> None:
    model = AdaptiveChatModel(inner=Elsewhere(responses=["without"]), **three())
    answer = model.bind_tools([add]).invoke("Hi")
    assert answer.content == "with tools"
    assert answer.response_metadata["adaptive"]["samples"] == 3
    assert model.invoke("Hi").content == "without"


def test_tools_that_would_pass_the_wrapper_by_are_refused() -> None:
    model = AdaptiveChatModel(inner=Elsewhere(responses=["without"], hidden=True))
    with pytest.raises(ConfigError, match="no Elsewhere found in the RunnableLambda"):
        model.bind_tools([add])


def test_tools_a_model_does_not_support_are_its_own_error() -> None:
    with pytest.raises(NotImplementedError):
        AdaptiveChatModel(inner=FakeListChatModel(responses=["a"])).bind_tools([add])


def test_the_inner_models_names_and_profile_are_seen(chat: Chat) -> None:
    inner = chat(profile={"max_input_tokens": 7})
    model = AdaptiveChatModel(inner=inner)
    assert (model.model_name, model.model, model.profile) == ("fake+constant", "fake+constant", inner.profile)
    assert model._get_ls_params(model="other")["ls_model_name"] == "other"
    assert model._get_ls_params()["ls_provider"] == "openai"
    assert model._llm_type == "adaptive-openai-chat"
    nameless = AdaptiveChatModel(inner=FakeListChatModel(responses=["a"]))
    assert [getattr(nameless, name, None) for name in ("model_name", "model", "model_id")] == [None] * 3


class Counted(FakeListChatModel):
    model_id: str = "counted"

    def get_token_ids(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Any = None) -> int:
        return 100 + len(messages)


def test_tokens_are_counted_by_the_inner_model() -> None:
    model = AdaptiveChatModel(inner=Counted(responses=["a"]))
    assert model.model_id == "counted"
    assert model.get_token_ids("ab cde") == [2, 3]
    assert model.get_num_tokens("ab cde") == 2
    assert model.get_num_tokens_from_messages([HumanMessage("Hi")]) == 101


def test_callbacks_tags_metadata_and_version_of_the_inner_model_stay_in_force(chat: Chat) -> None:
    handler = UsageMetadataCallbackHandler()
    inner = chat(
        callbacks=[handler], tags=["theirs"], metadata={"team": "red"}, cache=False, output_version="v1"
    )
    model = AdaptiveChatModel(inner=inner, **three(metadata={"floor": 2}))
    answer = model.invoke("Hi")
    assert handler.usage_metadata == {"fake+constant": answer.usage_metadata}
    assert (model.tags, model.cache, model.output_version) == (["theirs"], False, "v1")
    assert cast("list[Any]", answer.content)[0]["type"] == "text"
    metadata = model.metadata or {}
    assert (metadata["team"], metadata["floor"]) == ("red", 2)
    assert metadata["lc_versions"].keys() >= {"langchain-core", "langchain-openai"}
    assert AdaptiveChatModel(inner=inner, tags=["ours"]).tags == ["ours"]


def test_a_configurable_wrapper_can_be_given_another_inner_model(chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat(), **three()).configurable_fields(
        inner=ConfigurableField(id="inner")
    )
    other = chat("arithmetic")
    answer = model.invoke("1 + 1", {"configurable": {"inner": other}})
    assert answer.content == "1 + 1 = 2\nThe answer is 2."


def test_the_middleware_can_be_pickled_and_the_wrapper_is_not_serialised(chat: Chat) -> None:
    middleware = three()["middleware"]
    assert pickle.loads(pickle.dumps(middleware)).rules == middleware.rules  # noqa: S301 - our own bytes
    dumped = dumpd(AdaptiveChatModel(inner=chat(), middleware=middleware))
    assert dumped["type"] == "not_implemented"
    json.dumps(dumped)


class Terse(BaseChatModel):
    """Takes no run manager, says no usage, and answers what it is told to."""

    generations: list[ChatGeneration]

    @property
    def _llm_type(self) -> str:
        return "terse"

    def _generate(  # type: ignore[override]
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> ChatResult:
        assert not kwargs
        return ChatResult(generations=self.generations)


def test_a_model_without_run_manager_and_usage_can_be_wrapped() -> None:
    inner = Terse(generations=[ChatGeneration(message=AIMessage("yes"))])
    assert AdaptiveChatModel(inner=inner).invoke("Hi").content == "yes"
    answer = AdaptiveChatModel(inner=inner, **three()).invoke("Hi")
    assert (answer.content, answer.usage_metadata) == ("yes", None)
    assert "adaptive" not in inner.generations[0].message.response_metadata


def test_messages_that_are_not_ai_messages_are_kept_as_they_are() -> None:
    inner = Terse(generations=[ChatGeneration(message=ChatMessage(content="yes", role="oracle"))])
    generation = AdaptiveChatModel(inner=inner, **three()).generate([[HumanMessage("Hi")]]).generations[0][0]
    message = cast("ChatGeneration", generation).message
    assert isinstance(message, ChatMessage)
    assert (message.role, message.response_metadata["adaptive"]["samples"]) == ("oracle", 3)


def test_further_choices_that_a_call_asked_for_itself_are_paid_but_not_returned(
    server: Server, chat: Chat
) -> None:
    result = AdaptiveChatModel(inner=chat()).generate([[HumanMessage("Hi")]], n=3)
    (generation,) = result.generations[0]
    message = cast("AIMessage", cast("ChatGeneration", generation).message)
    assert message.usage_metadata is not None
    assert (message.usage_metadata["output_tokens"], server.choices) == (3 * 4, 3)
    assert "adaptive" not in message.response_metadata


def test_a_model_that_returns_nothing_is_a_typed_error() -> None:
    with pytest.raises(SamplerError, match="Terse returned a result without generations"):
        AdaptiveChatModel(inner=Terse(generations=[])).invoke("Hi")


class Chatty(FakeListChatModel):
    """Streams to the run manager inside `_generate`, as some integrations do."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if run_manager is not None:
            run_manager.on_llm_new_token("token")
        return super()._generate(messages, stop, run_manager, **kwargs)


@pytest.mark.parametrize(("fields", "tokens"), [({}, ["token"]), (three(), [])])
def test_only_a_call_that_passes_through_hands_its_run_to_the_inner_model(
    fields: dict[str, Any], tokens: list[str]
) -> None:
    seen: list[str] = []

    class Tokens(UsageMetadataCallbackHandler):
        def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
            seen.append(token)

    AdaptiveChatModel(inner=Chatty(responses=["a"]), **fields).invoke("Hi", {"callbacks": [Tokens()]})
    assert seen == tokens
