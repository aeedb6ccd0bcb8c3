"""Chat completions through the transports: what the SDK's caller gets, and what the provider was asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from adaptive_middleware import Middleware, Path, Rule, best_of_n, fixed
from adaptive_middleware.effects import Flow
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.strategies.careful import careful
from adaptive_middleware.strategies.effort import Rung, effort
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Outcome, Request

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}


def n_samples(n: int) -> Middleware:
    return Middleware(best_of_n(fixed(n), max_samples=n, score=False))


def seven_is_right(path: Path) -> Sequence[float]:
    return [0.95 if "is 7" in path.text else 0.05] * max(len(path.steps), 1)


def judged(n: int) -> Middleware:
    return Middleware(best_of_n(fixed(n), max_samples=n), scorer=TableScorer(seven_is_right))


async def test_the_best_of_three_answers_comes_back_with_the_cost_of_all(asking: Any, server: Server) -> None:
    bare = await asking.chat(asking.client(None), "arithmetic")
    server.reset()
    server.choices = 1  # so that the first two answers are wrong
    found = await asking.chat(asking.client(judged(3)), "arithmetic+split")
    assert found.choices[0].message.content == "3 + 4 = 7\nThe answer is 7."
    assert len(server.calls) == 3
    assert found.usage.total_tokens == 3 * bare.usage.total_tokens
    assert found.usage.prompt_tokens == 3 * bare.usage.prompt_tokens
    assert found.model_extra["adaptive"]["samples"] == 3
    assert found.model_extra["adaptive"]["p"] == pytest.approx(0.95)


async def test_all_samples_are_asked_for_with_the_clients_own_body(asking: Any, server: Server) -> None:
    body = {"temperature": 0.5, "extra_body": {"chat_template_kwargs": {"thinking": True}}, "tools": [ADD]}
    await asking.chat(asking.client(None), "constant", **body)
    (bare,) = server.calls
    server.reset()
    await asking.chat(asking.client(n_samples(3)), "constant", **body)
    assert server.calls == [bare] * 3


async def test_the_clients_classes_and_the_winners_request_id_are_kept(asking: Any, server: Server) -> None:
    client = asking.client(judged(3))
    assert isinstance(client, (openai.OpenAI, openai.AsyncOpenAI))
    server.choices = 1
    found = await asking.chat(client, "arithmetic+split")
    assert found._request_id is not None
    assert found._request_id.removeprefix("req-") == found.id.removeprefix("chatcmpl-")


async def test_the_raw_response_tells_of_the_decision_in_headers(asking: Any) -> None:
    client = asking.client(judged(3))
    raw = await asking.result(
        client.chat.completions.with_raw_response.create,
        model="fake+arithmetic",
        messages=[{"role": "user", "content": "What is 3 + 4?"}],
    )
    told = {name: value for name, value in raw.headers.items() if name.startswith("x-adaptive-")}
    assert told == {
        "x-adaptive-rule": "default",
        "x-adaptive-strategy": "best-of-n, fixed(n=3)",
        "x-adaptive-samples": "3",
        "x-adaptive-p": "0.9500",
    }
    assert raw.elapsed.total_seconds() > 0
    assert int(raw.headers["content-length"]) == len(raw.content)
    assert raw.parse().choices[0].message.content == "3 + 4 = 7\nThe answer is 7."


async def test_a_rule_that_passes_calls_through_leaves_everything_as_it_is(
    asking: Any, server: Server
) -> None:
    bare = await asking.chat(asking.client(None), "arithmetic")
    passed = await asking.chat(asking.client(Middleware()), "arithmetic")
    assert passed.model_copy(update={"id": bare.id}) == bare
    assert "adaptive" not in passed.model_extra
    assert server.calls[0] == server.calls[1]


async def test_one_plain_sample_of_a_strategy_is_the_providers_reply_itself(asking: Any) -> None:
    bare = await asking.chat(asking.client(None), "arithmetic")
    one = await asking.chat(asking.client(n_samples(1)), "arithmetic")
    assert one.model_copy(update={"id": bare.id}) == bare


async def test_only_the_winners_tool_call_comes_back_and_a_loop_goes_on(asking: Any, server: Server) -> None:
    client = asking.client(n_samples(3))
    asked = [{"role": "user", "content": "Add 3 and 4."}]
    first = await asking.chat(client, "constant", messages=asked, tools=[ADD])
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    (call,) = message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 3, "b": 4})
    history = [*asked, message, {"role": "tool", "tool_call_id": call.id, "content": "7"}]
    second = await asking.chat(client, "constant", messages=history, tools=[ADD])
    assert second.choices[0].message.content == "The tool says 7."
    assert [turn["role"] for turn in server.calls[-1]["messages"]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unsure_tool_call_is_withheld_and_the_client_told(asking: Any, stream: bool) -> None:
    rules = (ToolRule("add", target=0.97, on_fail="abstain"),)
    rule = Rule("tools", careful(best_of_n(fixed(1), max_samples=2), rules), tools=rules)
    client = asking.client(Middleware(rules=[rule], scorer=TableScorer(0.6)))
    asked = [{"role": "user", "content": "Add 3 and 4."}]
    found = await asking.chat(client, "constant", messages=asked, tools=[ADD], stream=stream)
    chunks = await asking.items(found) if stream else []
    choices = [chunk.choices[0] for chunk in chunks] if stream else found.choices
    said = "".join((one.delta if stream else one.message).content or "" for one in choices)
    assert said.startswith("No tool was called: add must be right with probability 0.97")
    assert not any((one.delta if stream else one.message).tool_calls for one in choices)
    assert choices[-1].finish_reason == "stop"
    adaptive = [
        chunk.model_extra["adaptive"] for chunk in chunks or [found] if "adaptive" in chunk.model_extra
    ]
    assert adaptive[0]["abstained"].startswith("add must be right")


async def test_structured_output_is_parsed_from_the_winner(asking: Any) -> None:
    class Sum(BaseModel):
        a: int
        b: int

    client = asking.client(n_samples(3))
    found = await asking.result(
        client.chat.completions.parse,
        model="fake+constant",
        messages=[{"role": "user", "content": "Add 3 and 4."}],
        response_format=Sum,
    )
    assert found.choices[0].message.parsed == Sum(a=3, b=4)
    assert found.model_extra["adaptive"]["samples"] == 3


async def test_logprobs_come_back_and_are_the_paths(asking: Any) -> None:
    seen: list[Path] = []

    def rule(path: Path) -> Sequence[float]:
        seen.append(path)
        return [0.5] * max(len(path.steps), 1)

    middleware = Middleware(best_of_n(fixed(2), score_question=False), scorer=TableScorer(rule))
    found = await asking.chat(asking.client(middleware), "arithmetic", logprobs=True)
    tokens = found.choices[0].logprobs.content
    assert [path.logprobs for path in seen] == [tuple(token.logprob for token in tokens)] * 2


async def test_a_request_for_several_choices_is_passed_on_as_it_is(asking: Any, server: Server) -> None:
    found = await asking.chat(asking.client(n_samples(3)), "split", n=2)
    assert (len(found.choices), len(server.calls), server.calls[0]["n"]) == (2, 1, 2)
    assert "adaptive" not in found.model_extra


async def test_other_addresses_are_passed_on(asking: Any) -> None:
    client = asking.client(n_samples(3))
    models = await asking.result(client.models.list)
    assert [model.id for model in models.data] == ["fake"]
    with pytest.raises(openai.NotFoundError):
        await asking.result(client.embeddings.create, model="fake", input="x")


@pytest.mark.parametrize(
    ("behaviour", "error", "body"),
    [
        ("fail", openai.InternalServerError, {}),
        ("limit", openai.RateLimitError, {}),
        ("single", openai.BadRequestError, {"n": 2}),
    ],
)
async def test_a_refusal_of_all_samples_is_the_sdks_own_error(
    asking: Any, behaviour: str, error: type[openai.APIStatusError], body: dict[str, Any]
) -> None:
    with pytest.raises(error) as bare:
        await asking.chat(asking.client(None), behaviour, **body)
    with pytest.raises(error) as raised:
        await asking.chat(asking.client(n_samples(2)), behaviour, **body)
    assert raised.value.body == bare.value.body
    assert raised.value.response.headers.get("retry-after-ms") == bare.value.response.headers.get(
        "retry-after-ms"
    )


async def test_the_client_alone_retries(asking: Any, server: Server) -> None:
    with pytest.raises(openai.RateLimitError):
        await asking.chat(asking.client(n_samples(2), max_retries=2), "limit=1")
    assert len(server.calls) == 2 * 3


async def test_a_sample_that_is_refused_is_lost_and_the_others_count(asking: Any, server: Server) -> None:
    found = await asking.chat(asking.client(n_samples(3)), "arithmetic+limit=3")
    report = found.model_extra["adaptive"]
    assert found.choices[0].message.content == "3 + 4 = 7\nThe answer is 7."
    assert (report["samples"], len(report["candidates"]), len(server.calls)) == (3, 2, 3)


async def test_a_provider_that_is_too_slow_for_the_clients_timeout_is_the_sdks_timeout(asking: Any) -> None:
    with pytest.raises(openai.APITimeoutError):
        await asking.chat(asking.client(n_samples(2), timeout=0.1), "constant+delay=2000")


async def test_an_address_where_nobody_listens_is_the_sdks_connection_error(asking: Any) -> None:
    client = asking.client(n_samples(2), base_url="http://127.0.0.1:9/v1")
    with pytest.raises(openai.APIConnectionError):
        await asking.chat(client, "constant")


@pytest.mark.parametrize("n", [1, 2])
async def test_a_deadline_of_ours_is_a_504_that_is_not_tried_again(
    asking: Any, server: Server, n: int
) -> None:
    rule = Rule("quick", best_of_n(fixed(n), score=False), seconds=0.2)
    client = asking.client(Middleware(rules=[rule]), max_retries=3)
    with pytest.raises(openai.InternalServerError) as raised:
        await asking.chat(client, "constant+delay=3000")
    assert (raised.value.status_code, raised.value.code) == (504, "DeadlineExceeded")
    assert raised.value.response.headers["x-adaptive-error"] == "DeadlineExceeded"
    assert len(server.calls) == n


async def test_a_strategy_that_chooses_what_was_never_drawn_is_a_502(asking: Any) -> None:
    def odd(_request: Request) -> Any:
        yield from ()
        return Outcome(Path(("made up",)))

    with pytest.raises(openai.InternalServerError, match="none that was drawn: 'made up'") as raised:
        await asking.chat(asking.client(Middleware(odd)), "constant")
    assert (raised.value.status_code, raised.value.code) == (502, SamplerError.__name__)


async def test_what_a_strategy_sets_is_sent_and_nothing_else_changes(asking: Any, server: Server) -> None:
    rungs = (Rung("hard", parameters={"reasoning_effort": "high"}, model="fake+constant"),)
    found = await asking.chat(asking.client(Middleware(effort(rungs))), "arithmetic", temperature=0.5)
    expected = {
        "messages": [{"role": "user", "content": "What is 3 + 4?"}],
        "model": "fake+constant",
        "temperature": 0.5,
        "reasoning_effort": "high",
    }
    assert server.calls == [expected]
    assert found.choices[0].message.content == "The answer is 42."


async def test_headers_for_us_pick_the_rule_and_a_failing_scorer_is_told(asking: Any, server: Server) -> None:
    def fails(_path: Path) -> Sequence[float]:
        raise ValueError("out of order\r\nß")

    two = best_of_n(fixed(2), max_samples=2)
    rules = [
        Rule("careful", two, when=lambda r: {"code", "slow"} <= r.tags),
        Rule("planner", two, when=lambda r: r.call_site == "plan"),
    ]
    client = asking.client(Middleware(rules=rules, scorer=TableScorer(fails)))
    for headers, rule in (
        ({"x-adaptive-tags": "code, slow"}, "careful"),
        ({"x-adaptive-call-site": "plan"}, "planner"),
    ):
        raw = await asking.result(
            client.chat.completions.with_raw_response.create,
            model="fake+constant",
            messages=[{"role": "user", "content": "Hi"}],
            extra_headers=headers,
        )
        assert raw.headers["x-adaptive-rule"] == rule
        assert raw.headers["x-adaptive-degraded"].endswith("out of order ?")
    passed = await asking.chat(client, "constant", extra_headers={"x-adaptive-tags": "chat"})
    assert "adaptive" not in passed.model_extra


def withholds(request: Request) -> Flow[Outcome]:
    outcome = yield from best_of_n(fixed(2), max_samples=2)(request)
    said = Path(("No tool was called.",), done=False, finish_reason="stop")
    return replace(outcome, chosen=said)


@pytest.mark.parametrize("stream", [False, True])
async def test_words_in_place_of_a_tool_call_have_the_head_of_the_best_answer(
    asking: Any, stream: bool
) -> None:
    middleware = Middleware(withholds, scorer=TableScorer(0.5))
    found = await asking.chat(asking.client(middleware), "constant", tools=[ADD], stream=stream)
    if stream:
        chunks = await asking.items(found)
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "No tool was called."
        assert not any(one.choices[0].delta.tool_calls for one in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"
        return
    (choice,) = found.choices
    assert (choice.message.content, choice.message.tool_calls) == ("No tool was called.", None)
    assert (choice.finish_reason, found.model_extra["adaptive"]["samples"]) == ("stop", 2)
    assert found._request_id.removeprefix("req-") == found.id.removeprefix("chatcmpl-")
