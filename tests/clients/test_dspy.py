"""DSPy against the proxy: calls, a typed prediction, its stream and a tool loop, with only the base URL changed."""

from __future__ import annotations

import os

import pytest

from tests.clients.site import ADD, QUESTION, TOLD, Site, Told, add, the_site

__all__ = ["the_site"]

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or the import of its LiteLLM asks the network
dspy = pytest.importorskip("dspy", reason="dspy is not installed: make test-clients")


def test_calls_streams_and_a_tool_loop(site: Site) -> None:
    function = ADD["function"]
    tool = dspy.lm15.FunctionTool(function["name"], function["description"], function["parameters"])
    question = dspy.lm15.Message.user(QUESTION)

    def script(base_url: str) -> Told:
        lm = dspy.LM("openai/gpt-4o-mini", api_base=base_url, api_key="k", cache=False)
        plain = lm(dspy.lm15.Request(lm.model, (question,)))
        with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
            predict = dspy.Predict("question -> answer")
            typed = predict(question=QUESTION).answer
            heard = dspy.streaming.StreamListener(signature_field_name="answer")
            live = dspy.streamify(predict, stream_listeners=[heard], async_streaming=False)
            *pieces, whole = live(question=QUESTION)
        first = lm(dspy.lm15.Request(lm.model, (question,), tools=(tool,)))
        (call,) = first.tool_calls
        result = dspy.lm15.Message.tool({call.id: str(add(**call.input))})
        last = lm(dspy.lm15.Request(lm.model, (question, first.message, result), tools=(tool,)))
        total = sum(answer.usage.total_tokens for answer in (plain, first, last))
        return Told([plain.text, typed, "".join(one.chunk for one in pieces), whole.answer, last.text], total)

    plain = f"You said:\n{QUESTION}\nThe answer is 5."
    assert site.same(script).answers == [plain, "some text", '"some text"', "some text", TOLD]
