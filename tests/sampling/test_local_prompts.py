"""What the local sampler asks: messages, text, and the window of the model."""

from pathlib import Path as FilePath

import pytest
from transformers import PreTrainedTokenizerFast

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.local import load_sampler
from adaptive_middleware.types import Request
from tests import tiny

ASKED = Request("What is 2 + 2?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    return tiny.llama_chat(tmp_path_factory.mktemp("policy"))


def prompt_ids(folder: FilePath, messages: list[dict[str, str]]) -> list[int]:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer.encode(text, add_special_tokens=False))


def test_messages_with_roles_are_rendered_as_they_are(folder: FilePath) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    [path] = load_sampler(folder, temperature=0, max_new_tokens=4).sample(Request("other", messages=chat), 1)
    assert path.usage.prompt_tokens == len(prompt_ids(folder, chat))


@pytest.mark.parametrize("messages", [(object(),), ({"role": "user"},), ({"role": "user", "content": [1]},)])
def test_messages_of_another_kind_fall_back_to_the_text(
    folder: FilePath, messages: tuple[object, ...]
) -> None:
    sampler = load_sampler(folder, temperature=0, max_new_tokens=4)
    [path] = sampler.sample(Request(ASKED.text, messages=messages), 1)
    assert path.text == sampler.sample(ASKED, 1)[0].text


def test_without_a_template_the_bare_text_is_the_prompt(tmp_path: FilePath) -> None:
    folder = tiny.llama_chat(tmp_path, template=None)
    [path] = load_sampler(folder, max_new_tokens=2).sample(Request("abc"), 1)
    assert path.usage.prompt_tokens == 3


def test_an_empty_prompt_is_refused(tmp_path: FilePath) -> None:
    sampler = load_sampler(tiny.llama_chat(tmp_path, template=None))
    with pytest.raises(SamplerError, match="the prompt is empty"):
        sampler.sample(Request(""), 1)


def test_a_prompt_that_fills_the_window_is_refused(folder: FilePath) -> None:
    with pytest.raises(SamplerError, match=r"the prompt has \d+ tokens and the window of .* only 2048"):
        load_sampler(folder).sample(Request("x" * 2048), 1)


def test_answers_end_at_the_window(folder: FilePath) -> None:
    frame = len(prompt_ids(folder, [{"role": "user", "content": "x"}])) - 1
    [path] = load_sampler(folder, max_new_tokens=500).sample(Request("x" * (2045 - frame)), 1)
    assert path.usage.completion_tokens == 3
