"""Continuation from a prefix, as vLLM, SGLang, Mistral, DeepSeek and raw completions speak it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from adaptive_middleware.errors import NotContinuing, SamplerError
from adaptive_middleware.sampling.continuing import Continuation, Continuing
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_extend import AsyncOpenAIExtender, OpenAIExtender
from adaptive_middleware.testing.fake_sse import Script, StreamServer, fake_sse, whole_reply
from adaptive_middleware.types import Path, Request, Usage

ASKED = Request("What is 2 + 2?")
BEGUN = Path(("First I add the two.\n\n",), done=False)
Body = Mapping[str, Any]


def chat(*texts: str, reason: str = "stop", usage: object = None, **more: Any) -> Script:
    choices = [{"message": {"content": text}, "finish_reason": reason, **more} for text in texts]
    counts = {"prompt_tokens": 9, "completion_tokens": 7} if usage is None else usage
    return [whole_reply({"choices": choices, "usage": counts})]


def refused(message: str, status: int = 400) -> Script:
    return [whole_reply({"error": {"message": message}}, status=status)]


def one_choice(body: Body) -> Script:
    return refused("n must be 1 for this model") if body["n"] > 1 else chat("So 4.", stop_reason="\n\n")


def some_fail(body: Body) -> Script:
    good = body["messages"][-1]["content"] == BEGUN.text
    return chat("So 4.", stop_reason="\n\n") if good else refused("content policy")


SCRIPTS: dict[str, Script | Callable[[Body], Script]] = {
    "two": chat("So 4.", "So 5.", stop_reason="\n\n"),
    "ignores n": lambda body: chat("So 4.", stop_reason="\n\n"),
    "gives more": chat("a", "b", "c", stop_reason="\n\n"),
    "sglang end": chat("The answer is 4.", matched_stop=151645),
    "vllm end": chat("The answer is 4.", stop_reason=None),
    "silent": chat("So 4."),
    "blank": chat(""),
    "blank line": chat("", stop_reason="\n"),
    "at most two": lambda body: refused("Field 'n': must be <= 2") if body["n"] > 2 else chat(*["So 4."] * body["n"], stop_reason="\n\n"),
    "leads": chat("\n\nSo 4.\n\nAnd"),
    "included": chat("So 4.\n\nAnd more"),
    "cap": chat("So 4 and", reason="length"),
    "filter": chat("So", reason="content_filter"),
    "echo": chat(BEGUN.text + "So 4.", stop_reason="\n\n"),
    "anew": chat("First I add the two.", "First I add the two. Then"),
    "unknown": refused("Unrecognized request argument supplied: continue_final_message"),
    "no prefill": refused("This model does not support assistant message prefill"),
    "forbidden": refused("extra inputs are not permitted", 422),
    "no address": refused("not found", 404),
    "policy": refused("content policy"),
    "some fail": some_fail,
    "one choice": one_choice,
    "busy": [whole_reply({}, status=503, retry_after="0")],
    "no choices": [whole_reply({"object": "error"})],
    "no json": [whole_reply(b"<html>", kind="text/html")],
    "none": [whole_reply({"choices": []})],
    "uncounted": chat("12345678", usage={}, stop_reason="\n\n"),
    "logprobs": chat("So 4.", stop_reason="\n\n", logprobs={"content": [{"logprob": -0.5}, {"logprob": -1.0}]}),
    "plain": [
        whole_reply({"choices": [{"text": "So 4.", "finish_reason": "stop", "stop_reason": "\n\n", "logprobs": {"token_logprobs": [None, -0.25]}}]})
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[StreamServer]:
    with fake_sse(SCRIPTS) as running:
        yield running


Extend = Callable[..., Any]


@pytest.fixture(params=["threads", "tasks"])
def extend(request: pytest.FixtureRequest, server: StreamServer) -> Extend:
    async def extended(
        model: str,
        how: Continuation = "continue_final_message",
        paths: Sequence[Path] = (BEGUN,),
        fanout: int = 1,
        **settings: Any,
    ) -> list[Path]:
        place = Endpoint(server.url, model, attempts=2)
        continuing = Continuing(how, **settings)
        if request.param == "threads":
            with_threads = OpenAIExtender(place, continuing)
            with with_threads.client:
                return with_threads.extend(ASKED, paths, fanout)
        with_tasks = AsyncOpenAIExtender(place, continuing)
        async with with_tasks.client:
            return await with_tasks.aextend(ASKED, paths, fanout)

    return extended


async def test_each_continuation_is_one_closed_step_longer_and_costs_that_step(extend: Extend) -> None:
    first, second = await extend("two", fanout=2)
    assert first.steps == (*BEGUN.steps, "So 4.\n\n")
    assert second.steps == (*BEGUN.steps, "So 5.\n\n")
    assert (first.ended, second.ended) == (False, False)
    assert (first.usage, second.usage) == (Usage(9, 4, requests=1), Usage(0, 3))


async def test_continuations_come_flat_in_the_order_of_their_paths(extend: Extend) -> None:
    other = Path(("Otherwise, I guess.\n\n",), done=False)
    found = await extend("two", paths=(BEGUN, other), fanout=2)
    assert [path.steps[0] for path in found] == [BEGUN.steps[0]] * 2 + [other.steps[0]] * 2


async def test_vllm_and_sglang_are_asked_to_continue_the_last_message(
    extend: Extend, server: StreamServer
) -> None:
    await extend("two", fanout=2, step_tokens=99)
    body = server.asked[-1]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["messages"][-1] == {"role": "assistant", "content": BEGUN.text}
    assert (body["n"], body["stop"], body["max_tokens"]) == (2, ["\n\n"], 99)


async def test_mistral_and_deepseek_are_sent_a_prefix(extend: Extend, server: StreamServer) -> None:
    await extend("two", "prefix", fanout=2)
    assert server.asked[-1]["messages"][-1] == {"role": "assistant", "content": BEGUN.text, "prefix": True}


@pytest.mark.parametrize("how", ["prefix", "continue_final_message"])
async def test_a_path_without_steps_begins_the_answer(
    extend: Extend, server: StreamServer, how: Continuation
) -> None:
    (path,) = await extend("echo", how, paths=(Path(done=False),))
    assert server.asked[-1]["messages"] == [{"role": "user", "content": ASKED.text}]
    assert "continue_final_message" not in server.asked[-1]
    assert path.steps == (BEGUN.text,)


async def test_raw_completions_get_the_template_and_the_prefix(extend: Extend, server: StreamServer) -> None:
    (path,) = await extend("plain", "completions", template=lambda request: f"<user>{request.text}<bot>")
    assert server.paths[-1] == "/v1/completions"
    assert server.asked[-1]["prompt"] == f"<user>{ASKED.text}<bot>{BEGUN.text}"
    assert server.asked[-1]["logprobs"] == 1
    assert (path.steps, path.logprobs) == ((*BEGUN.steps, "So 4.\n\n"), (-0.25,))
    assert Continuing("completions").template(ASKED) == "What is 2 + 2?\n\n"


@pytest.mark.parametrize("model", ["vllm end", "sglang end"])
async def test_a_server_that_says_the_model_has_ended_is_believed(extend: Extend, model: str) -> None:
    (path,) = await extend(model)
    assert (path.steps[-1], path.done, path.finish_reason) == ("The answer is 4.", True, "stop")


async def test_where_the_server_does_not_say_a_blank_step_ends_the_answer(extend: Extend) -> None:
    (path,) = await extend("silent")
    assert (path.steps[-1], path.ended) == ("So 4.\n\n", False)
    (path,) = await extend("blank", paths=(path,))
    assert (path.steps[-1], path.done) == ("So 4.\n\n", True)


async def test_where_steps_are_lines_one_blank_line_does_not_end_the_answer(extend: Extend) -> None:
    path = Path(("First.\n",), done=False)
    (path,) = await extend("blank", separator="\n", paths=(path,))
    assert (path.steps, path.raw, path.ended) == (("First.\n\n",), "First.\n\n", False)
    (path,) = await extend("blank", separator="\n", paths=(path,))
    assert (path.steps, path.done) == (("First.\n\n",), True)


async def test_a_server_that_says_it_stopped_at_a_separator_is_believed_but_not_for_ever(
    extend: Extend,
) -> None:
    path, rounds = Path(("First.\n",), done=False), 0
    while not path.ended:
        (path,) = await extend("blank line", separator="\n", paths=(path,))
        rounds += 1
    assert (path.text, rounds) == ("First." + 8 * "\n", 8)


async def test_an_endpoint_with_a_limit_of_choices_is_asked_for_half_as_many(
    extend: Extend, server: StreamServer
) -> None:
    before = len(server.asked)
    assert len(await extend("at most two", fanout=5)) == 5
    assert [body["n"] for body in server.asked[before:]] == [5, 2, 2, 1]


async def test_a_separator_in_the_reply_ends_the_step(extend: Extend) -> None:
    (path,) = await extend("included")
    assert (path.steps[1:], path.ended) == (("So 4.\n\n",), False)


async def test_blank_lines_before_a_step_belong_to_it(extend: Extend) -> None:
    (path,) = await extend("leads")
    assert (path.steps[1:], path.ended) == (("\n\nSo 4.\n\n",), False)


async def test_a_step_at_its_limit_is_closed_as_it_is(extend: Extend) -> None:
    (path,) = await extend("cap")
    assert (path.steps[-1], path.ended) == ("So 4 and", False)


async def test_another_reason_ends_the_answer(extend: Extend) -> None:
    (path,) = await extend("filter")
    assert (path.finish_reason, path.ended) == ("content_filter", True)


async def test_a_prefix_that_is_sent_back_is_not_text_of_the_continuation(extend: Extend) -> None:
    (path,) = await extend("echo")
    assert path.steps == (*BEGUN.steps, "So 4.\n\n")


REFUSALS = ["anew", "unknown", "no prefill", "forbidden", "no address"]


@pytest.mark.parametrize("model", REFUSALS)
async def test_an_endpoint_that_cannot_go_on_from_a_prefix_says_so_by_type(
    extend: Extend, model: str
) -> None:
    with pytest.raises(NotContinuing, match=r"anew|refused to continue"):
        await extend(model)


async def test_no_continuation_is_asked_for_where_none_is_configured(
    extend: Extend, server: StreamServer
) -> None:
    before = len(server.asked)
    with pytest.raises(NotContinuing, match="`continuation` is set to none"):
        await extend("two", "none")
    assert len(server.asked) == before


@pytest.mark.parametrize(("model", "message"), [
    ("policy", "refused to continue"),
    ("busy", "no answer in 2 attempts"),
    ("no choices", "without usable choices"),
    ("no json", "did not answer with JSON"),
])  # fmt: skip
async def test_other_failures_are_errors_of_the_sampler(extend: Extend, model: str, message: str) -> None:
    with pytest.raises(SamplerError, match=message) as raised:
        await extend(model)
    assert type(raised.value) is SamplerError


async def test_an_endpoint_that_is_not_there_is_a_typed_error() -> None:
    place, continuing = Endpoint("http://127.0.0.1:9/v1", "x", attempts=1), Continuing("prefix")
    extender = OpenAIExtender(place, continuing)
    with extender.client, pytest.raises(SamplerError, match="no answer in 1 attempts"):
        extender.extend(ASKED, [BEGUN], 1)
    with_tasks = AsyncOpenAIExtender(place, continuing)
    async with with_tasks.client:
        with pytest.raises(SamplerError, match="no answer in 1 attempts"):
            await with_tasks.aextend(ASKED, [BEGUN], 1)


async def test_a_path_whose_request_fails_only_loses_its_own_continuations(extend: Extend) -> None:
    bad = Path(("Something unsayable.\n\n",), done=False)
    found = await extend("some fail", paths=(bad, BEGUN))
    assert [path.steps[0] for path in found] == [BEGUN.steps[0]]


@pytest.mark.parametrize("model", ["one choice", "ignores n"])
async def test_where_one_request_gives_one_choice_there_are_as_many_requests(
    extend: Extend, model: str
) -> None:
    found = await extend(model, fanout=3)
    assert [path.steps[-1] for path in found] == ["So 4.\n\n"] * 3
    assert sum(path.usage.requests for path in found) == 3


async def test_more_than_was_asked_for_is_cut_and_nothing_is_nothing(extend: Extend) -> None:
    assert len(await extend("gives more", fanout=2)) == 2
    assert await extend("none", fanout=2) == []
    assert await extend("two", paths=(), fanout=2) == []


async def test_tokens_are_counted_from_log_probabilities_or_estimated_and_flagged(extend: Extend) -> None:
    (path,) = await extend("logprobs")
    assert (path.logprobs, path.usage.completion_tokens) == ((-0.5, -1.0), 2)
    (path,) = await extend("uncounted")
    assert (path.usage.completion_tokens, path.usage.estimated) == (2, True)
