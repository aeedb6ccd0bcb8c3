"""Models by import path: LangChain, LlamaIndex and our own ports become sources of answers."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_openai import ChatOpenAI
from llama_index.core.llms import MockLLM

from adaptive_middleware.collect.chat_objects import source_of
from adaptive_middleware.errors import ConfigError, SamplerError
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import Request
from tests.collect.world import Luck

ASKED = Request(
    "What is 2 + 3?",
    messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 3?"}],
)


def test_a_langchain_model_draws_whole_answers_with_their_cost_past_any_cache() -> None:
    with fake_openai() as server:
        model = ChatOpenAI(
            base_url=server.url, api_key="none", model="fake+arithmetic", max_retries=0, logprobs=True
        )
        source = source_of(model, "my:factory", 99)
        set_llm_cache(InMemoryCache())
        try:
            ((*drawn,),) = source.continuer.extend(ASKED, [""], 3, 0)
        finally:
            set_llm_cache(None)
        assert len(server.calls) == 3
        assert [message["role"] for message in server.calls[0]["messages"]] == ["system", "user"]
    assert (source.id, source.continues, source.max_tokens) == ("fake+arithmetic", False, 99)
    for one in drawn:
        assert one.path.finish_reason == "stop"
        assert one.path.usage.prompt_tokens > 0
        assert one.path.usage.completion_tokens > 0
        assert one.path.logprobs is not None


def test_a_failing_draw_is_data_and_the_others_are_kept() -> None:
    with fake_openai() as server:
        model = ChatOpenAI(base_url=server.url, api_key="none", model="fake+arithmetic+fail=2", max_retries=0)
        ((*drawn,),) = source_of(model, "my:factory", 9).continuer.extend(ASKED, [""], 3, 0)
    assert [one.path.error is None for one in drawn] == [True, False, True]


def test_a_llama_index_model_draws_whole_answers() -> None:
    source = source_of(MockLLM(max_tokens=3), "my:mock", 9)
    ((*drawn,),) = source.continuer.extend(ASKED, [""], 2, 0)
    assert source.continues is False
    assert source.id == "my:mock"
    assert len(drawn) == 2
    assert all(one.path.text for one in drawn)


def test_a_sampler_is_a_source_of_whole_answers_and_refuses_prefixes() -> None:
    source = source_of(ScriptedSampler(["4", "5"]), "my:sampler", 9)
    (group,) = source.continuer.extend(ASKED, [""], 2, 0)
    assert [one.path.text for one in group] == ["4", "5"]
    assert source.id == "my:sampler"
    with pytest.raises(SamplerError, match="cannot continue a given text: set prefixes to 0"):
        source.continuer.extend(ASKED, ["2 + 2"], 1, 0)


def test_an_object_that_can_extend_continues_prefixes_under_its_own_name() -> None:
    source = source_of(Luck(), "my:luck", 9)
    assert (source.id, source.continues) == ("luck", True)


@pytest.mark.parametrize("other", [object(), "text", lambda: None])
def test_anything_else_is_refused_with_what_would_do(other: Any) -> None:
    with pytest.raises(ConfigError, match=r"sampler.target 'my:thing' made a \w+; a LangChain chat model"):
        source_of(other, "my:thing", 9)
