"""The local sampler on tiny random models: prompts, ends, log-probabilities, seeds."""

import copy
import itertools
import math
import pickle
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from adaptive_middleware.errors import CheckpointError, ConfigError
from adaptive_middleware.sampling.local import Generation, LocalSampler, load_sampler
from adaptive_middleware.types import Path, Request
from tests import tiny

ASKED = Request("What is 2 + 2?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    return tiny.llama_chat(tmp_path_factory.mktemp("policy"))


def prompt_ids(folder: FilePath, messages: list[dict[str, str]]) -> list[int]:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer.encode(text, add_special_tokens=False))


def ending_model(folder: FilePath, chance: float) -> Any:
    """The model with the end token's logit raised to roughly the given chance per token."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    end = PreTrainedTokenizerFast.from_pretrained(folder).eos_token_id
    layer: Any = torch.nn.Linear(32, model.config.vocab_size)
    with torch.no_grad():
        layer.weight.copy_(model.lm_head.weight * 0.1)
        layer.bias.zero_()
        layer.bias[end] = math.log(chance / (1 - chance) * model.config.vocab_size)
    model.lm_head = layer
    return model


def ending(folder: FilePath, chance: float = 0.2, **settings: Any) -> LocalSampler:
    generation = Generation(**{"max_new_tokens": 12, "seed": 5, **settings})
    return LocalSampler(
        "ending", ending_model(folder, chance), PreTrainedTokenizerFast.from_pretrained(folder), generation
    )


def test_greedy_answers_are_the_argmax_of_a_plain_loop(folder: FilePath) -> None:
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(folder),
        PreTrainedTokenizerFast.from_pretrained(folder),
    )
    ids = prompt_ids(folder, [{"role": "user", "content": ASKED.text}])
    drawn: list[int] = []
    logprobs = []
    for _ in range(8):
        with torch.no_grad():
            scores = model(torch.tensor([ids + drawn])).logits[0, -1].log_softmax(-1)
        drawn.append(int(scores.argmax()))
        logprobs.append(float(scores.max()))
    assert tokenizer.eos_token_id not in drawn
    [path, again] = load_sampler(folder, temperature=0, max_new_tokens=8).sample(ASKED, 2)
    assert path.text == again.text == path.raw == tokenizer.decode(drawn, skip_special_tokens=True)
    assert path.logprobs == pytest.approx(logprobs, abs=1e-4)
    assert (path.finish_reason, path.done) == ("length", False)
    assert path.usage.completion_tokens == 8


def test_an_answer_ends_with_its_end_token_counted_and_not_shown(folder: FilePath) -> None:
    paths = ending(folder).sample(ASKED, 40)
    stopped = [path for path in paths if path.finish_reason == "stop"]
    cut = [path for path in paths if path.finish_reason == "length"]
    assert stopped
    assert cut
    assert all(path.done and 1 <= path.usage.completion_tokens <= 12 for path in stopped)
    assert all(not path.done and path.usage.completion_tokens == 12 for path in cut)
    assert len({path.usage.completion_tokens for path in stopped}) > 3
    for path in paths:
        assert path.logprobs is not None
        assert len(path.logprobs) == path.usage.completion_tokens
        assert all(value <= 0 for value in path.logprobs)
        assert "<|eot_id|>" not in path.text
        assert path.text == path.raw


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.3}, {"top_p": 0.5}])
def test_logprobs_are_those_of_the_untempered_model(folder: FilePath, settings: dict[str, Any]) -> None:
    sampler = ending(folder, 0.1, **settings)
    rows: list[list[int]] = []
    inner = sampler._until_end

    def noted(ids: list[int]) -> list[int]:
        rows.append(inner(ids))
        return rows[-1]

    sampler._until_end = noted  # type: ignore[method-assign]
    paths = sampler.sample(ASKED, 6)
    prompt = prompt_ids(folder, [{"role": "user", "content": ASKED.text}])
    for path, ids in zip(paths, rows, strict=True):
        with torch.no_grad():
            scores = sampler.language.model(torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
        expected = [float(scores[len(prompt) - 1 + k, token]) for k, token in enumerate(ids)]
        assert path.logprobs == pytest.approx(expected, abs=1e-4)


def test_the_prompt_is_paid_once_and_every_token_of_an_answer(folder: FilePath) -> None:
    paths = ending(folder).sample(ASKED, 3)
    length = len(prompt_ids(folder, [{"role": "user", "content": ASKED.text}]))
    assert [path.usage.prompt_tokens for path in paths] == [length, 0, 0]
    assert [path.usage.requests for path in paths] == [1, 0, 0]


def test_a_seed_makes_a_run_reproducible_and_its_calls_different(folder: FilePath) -> None:
    def run() -> list[list[str]]:
        sampler = load_sampler(folder, seed=3, max_new_tokens=6)
        return [[path.text for path in sampler.sample(ASKED, n)] for n in (2, 2, 1)]

    assert run() == run()
    texts = list(itertools.chain(*run()))
    assert len(set(texts)) == len(texts), "a later draw must not repeat an earlier one"
    assert run() != [
        [p.text for p in load_sampler(folder, seed=4, max_new_tokens=6).sample(ASKED, n)] for n in (2, 2, 1)
    ]


def test_without_a_seed_two_samplers_differ(folder: FilePath) -> None:
    one, two = (load_sampler(folder, max_new_tokens=8).sample(ASKED, 1)[0].text for _ in range(2))
    assert one != two


def test_drawing_leaves_the_global_random_state_alone(folder: FilePath) -> None:
    sampler = ending(folder)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    sampler.sample(ASKED, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_sampling_follows_the_models_distribution(folder: FilePath) -> None:
    sampler = ending(folder, 0.3, max_new_tokens=1)
    paths = sampler.sample(ASKED, 4000)
    prompt = prompt_ids(folder, [{"role": "user", "content": ASKED.text}])
    with torch.no_grad():
        chance = float(
            sampler.language.model(torch.tensor([prompt])).logits[0, -1].softmax(-1)[sampler.language.ends[0]]
        )
    share = sum(path.finish_reason == "stop" for path in paths) / 4000
    assert share == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / 4000))


@pytest.mark.parametrize(
    "settings",
    [{"temperature": -1}, {"temperature": math.inf}, {"top_p": 0}, {"top_p": 1.1}, {"max_new_tokens": 0}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="out of range: temperature >= 0"):
        Generation(**settings)


def test_a_model_without_end_token_stops_at_the_limit(tmp_path: FilePath) -> None:
    tokenizer = tiny.byte_level(tmp_path, [], template=None)
    tiny.save(
        tiny.random_model("llama", len(tokenizer)),
        tmp_path,
        architecture="LlamaForCausalLM",
        head={},
        keep_lm_head=True,
    )
    [path] = load_sampler(tmp_path, max_new_tokens=3).sample(ASKED, 1)
    assert (path.finish_reason, path.usage.completion_tokens) == ("length", 3)


def test_a_models_own_generation_settings_do_not_leak_in(folder: FilePath, tmp_path: FilePath) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.generation_config.top_k = 1
    model.generation_config.repetition_penalty = 5.0
    model.generation_config.do_sample = True
    model.save_pretrained(tmp_path)
    PreTrainedTokenizerFast.from_pretrained(folder).save_pretrained(tmp_path)
    theirs = load_sampler(tmp_path, seed=1, max_new_tokens=20).sample(ASKED, 3)
    ours = load_sampler(folder, seed=1, max_new_tokens=20).sample(ASKED, 3)
    assert [path.text for path in theirs] == [path.text for path in ours]


def test_steps_are_the_answers_lines(folder: FilePath) -> None:
    sampler = load_sampler(folder)
    ids = sampler.language.tokenizer.encode("3 + 4 = 7\nThe answer is 7.", add_special_tokens=False)
    path = sampler._path([*ids, sampler.language.ends[0]], [-1.0] * (len(ids) + 1), 0)
    assert path == Path(
        ("3 + 4 = 7\n", "The answer is 7."),
        finish_reason="stop",
        logprobs=(-1.0,) * (len(ids) + 1),
        usage=path.usage,
        raw="3 + 4 = 7\nThe answer is 7.",
    )


def test_a_pickled_sampler_is_loaded_again_and_a_copy_shares_the_model(folder: FilePath) -> None:
    sampler = load_sampler(folder, seed=8, max_new_tokens=5)
    again = pickle.loads(pickle.dumps(sampler))  # noqa: S301 - our own bytes
    assert again.id == sampler.id == folder.name
    assert again.sample(ASKED, 2) == sampler.sample(ASKED, 2)
    assert copy.deepcopy(sampler) is sampler
    with pytest.raises(TypeError, match="not built by load_sampler"):
        pickle.dumps(ending(folder))


def test_a_process_reward_model_is_no_sampler(tmp_path: FilePath) -> None:
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'lm_head\.weight'"):
        load_sampler(tiny.qwen_prm(tmp_path))


def test_a_model_without_a_longest_position_can_sample(tmp_path: FilePath) -> None:
    [path] = load_sampler(tiny.bloom(tmp_path), max_new_tokens=3).sample(ASKED, 1)
    assert path.usage.completion_tokens == 3
