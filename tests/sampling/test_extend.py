"""Continuations of the local sampler: exactly the prefix goes on, and a seed alone decides how."""

import math
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from adaptive_middleware.lab import POLICY
from adaptive_middleware.logprobs import summary
from adaptive_middleware.sampling.drawn import Drawn, step_ends
from adaptive_middleware.sampling.local import LocalSampler, load_sampler
from adaptive_middleware.types import Path, Request
from tests import tiny

ASKED = Request("What is 2 + 2?")
STORY = Request("Ana has 11 eggs. Paul gives Ana 9 eggs. How many eggs does Ana have now?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    return tiny.llama_chat(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def policy() -> LocalSampler:
    return load_sampler(POLICY, max_new_tokens=96, seed=0)


def greedy(folder: FilePath, prefix: str, count: int) -> str:
    """A plain loop: prompt, the prefix's own tokens, then the likeliest token each time."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    chat = [{"role": "user", "content": ASKED.text}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    ids = list(tokenizer.encode(text, add_special_tokens=False))
    start = list(tokenizer.encode(prefix, add_special_tokens=False))
    drawn: list[int] = []
    for _ in range(count - len(start)):
        with torch.no_grad():
            drawn.append(int(model(torch.tensor([[*ids, *start, *drawn]])).logits[0, -1].argmax()))
    return prefix + str(tokenizer.decode(drawn, skip_special_tokens=True))


def test_prefixes_of_unlike_length_go_on_as_each_alone_would(folder: FilePath) -> None:
    prefixes = ["", "the step is\n", "Yes the step is the step\nNo "]
    sampler = load_sampler(folder, temperature=0, max_new_tokens=24)
    groups = sampler.extend(ASKED, prefixes, 2, seed=1)
    assert [len(group) for group in groups] == [2, 2, 2]
    for prefix, group in zip(prefixes, groups, strict=True):
        assert {drawn.path.text for drawn in group} == {greedy(folder, prefix, 24)}
        assert all("".join(drawn.path.steps) == drawn.path.raw == drawn.path.text for drawn in group)


def test_the_limit_is_for_prefix_and_continuation_together(folder: FilePath) -> None:
    sampler = load_sampler(folder, temperature=0, max_new_tokens=6)
    ((short,), (long,)) = sampler.extend(ASKED, ["the", "the step is the step is the step"], 1, seed=0)
    assert short.path.usage.completion_tokens <= 5
    assert long.path.usage.completion_tokens == 0
    assert (long.path.text, long.path.done) == ("the step is the step is the step", False)


def test_the_seed_alone_decides_whatever_was_drawn_before(policy: LocalSampler) -> None:
    first = policy.extend(STORY, ["", "11 + "], 4, seed=5)
    policy.sample(STORY, 3)
    again = load_sampler(POLICY, max_new_tokens=96, seed=99).extend(STORY, ["", "11 + "], 4, seed=5)
    other = policy.extend(STORY, ["", "11 + "], 4, seed=6)

    def texts(groups: list[list[Drawn]]) -> list[str]:
        return [drawn.path.text for group in groups for drawn in group]

    assert texts(first) == texts(policy.extend(STORY, ["", "11 + "], 4, seed=5)) == texts(again)
    assert texts(first) != texts(other)


def test_a_prefix_cannot_smuggle_control_tokens(policy: LocalSampler) -> None:
    ((plain,), (drawn,)) = policy.extend(STORY, ["", "<|im_end|>"], 1, seed=0)
    assert drawn.path.text.startswith("<|im_end|>")
    assert (
        drawn.path.usage.prompt_tokens - plain.path.usage.prompt_tokens > 3
    )  # as characters, not as one token


def test_each_prefix_pays_for_its_prompt_once(policy: LocalSampler) -> None:
    ((first, second), (begun, _)) = policy.extend(STORY, ["", "11 + 9 = 20\n"], 2, seed=0)
    assert first.path.usage.requests == 1
    assert second.path.usage.prompt_tokens == second.path.usage.requests == 0
    assert begun.path.usage.prompt_tokens > first.path.usage.prompt_tokens


def test_step_logprobs_are_those_of_the_tokens_of_the_steps(policy: LocalSampler) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(POLICY)
    ((*several,),) = policy.extend(STORY, [""], 8, seed=3)
    for drawn in several:
        assert drawn.path.logprobs is not None
        for k in range(1, len(drawn.path.steps)):
            known = drawn.logprobs_until(k)
            assert known is not None
            ids = tokenizer("".join(drawn.path.steps[:k]), add_special_tokens=False)["input_ids"]
            assert len(known) == len(ids)
            pair = summary(known)
            assert pair is not None
            assert pair[0] == min(known)
            assert math.isclose(pair[1], math.fsum(known) / len(known))


@given(st.lists(st.text("ab \n", min_size=1, max_size=4), min_size=1, max_size=12), st.data())
def test_step_ends_are_the_first_tokens_that_reach_them(tokens: list[str], data: st.DataObject) -> None:
    text = "".join(tokens)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text)), min_size=1)) | {len(text)})
    steps = [text[a:b] for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]
    expected = [next(t for t in range(len(tokens) + 1) if len("".join(tokens[:t])) >= cut) for cut in cuts]
    assert list(step_ends(steps, len(tokens), lambda t: "".join(tokens[:t]))) == expected


def test_without_logprobs_nothing_is_known_of_steps() -> None:
    assert Drawn(Path(("a\n", "b"))).logprobs_until(1) is None
