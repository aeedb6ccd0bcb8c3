"""The local streamer: what is read step by step, forked and dropped is what the model would have written alone."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.lab import POLICY
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.policy import fixed
from adaptive_middleware.sampling.choice import choose
from adaptive_middleware.sampling.local import LocalSampler, load_sampler
from adaptive_middleware.sampling.local_astream import AsyncLocalStreamer
from adaptive_middleware.sampling.local_stream import LocalStreamer
from adaptive_middleware.sampling.writing import Writing
from adaptive_middleware.steps import split_steps
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.types import Path, Request

REQUEST = Request(
    "Ana has 34 pens. She buys 17 more. She gives 8 pens to Tom. How many pens does Ana have now?"
)
OTHER = Request("Tom has 3 pens. He finds 4 more. How many pens does Tom have?")


@pytest.fixture(scope="module")
def sampler() -> LocalSampler:
    return load_sampler(POLICY, seed=3)


@pytest.fixture(scope="module")
def greedy() -> LocalSampler:
    return load_sampler(POLICY, temperature=0.0)


def read(streamer: LocalStreamer, paths: Sequence[Path], drop: Sequence[int] = ()) -> list[Path]:
    """Every path to its end, but those in `drop`, which go after their first step."""
    paths = streamer.advance(REQUEST, paths)
    dropped = streamer.drop(REQUEST, [paths[k] for k in drop if not paths[k].ended])
    going = [path for k, path in enumerate(paths) if k not in drop]
    while not all(path.ended for path in going):
        going = streamer.advance(REQUEST, going)
    assert all(path.usage.completion_tokens > 0 for path in dropped)
    return going


def alone(sampler: LocalSampler, ids: Sequence[int], request: Request = REQUEST) -> list[float]:
    """Log-probabilities of an answer's tokens, by one forward over everything."""
    prompt = sampler.language.prompt(request)
    with torch.inference_mode():
        logits = sampler.language.model(torch.tensor([[*prompt, *ids]])).logits[0].float()
    likely = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return [float(row[token]) for row, token in zip(likely, ids, strict=True)]


def test_greedy_answers_are_those_of_generate_token_for_token(greedy: LocalSampler) -> None:
    streamer = LocalStreamer(greedy, "lines")
    [expected] = greedy.sample(REQUEST, 1)
    first, second = read(streamer, streamer.begin(REQUEST, 2))
    assert first.text == second.text == expected.text == first.raw
    assert first.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert (first.usage, first.done, first.finish_reason) == (expected.usage, True, "stop")
    assert second.usage.prompt_tokens == 0


@pytest.mark.parametrize("boundary", ["lines", "auto"])
def test_steps_given_are_those_of_the_whole_text_and_logprobs_those_of_their_tokens(
    sampler: LocalSampler, boundary: str
) -> None:
    streamer = LocalStreamer(sampler, "lines" if boundary == "lines" else "auto")
    paths, seen = streamer.begin(REQUEST, 6), list[list[Path]]()
    while not all(path.ended for path in paths):
        paths = streamer.advance(REQUEST, paths)
        seen.append(list(paths))
    for number, path in enumerate(paths):
        assert list(path.steps) == split_steps(path.text, "lines")
        for partial in (step[number] for step in seen):
            assert path.steps[: len(partial.steps)] == partial.steps
            assert partial.logprobs == (path.logprobs or ())[: len(partial.logprobs or ())]
    assert len(seen) == (max(len(path.steps) for path in paths) if boundary == "lines" else 1)


def test_what_an_answer_draws_does_not_depend_on_which_others_are_open(sampler: LocalSampler) -> None:
    def answers(n: int, drop: Sequence[int] = ()) -> list[str]:
        streamer = LocalStreamer(sampler, "lines")
        return [path.text for path in read(streamer, streamer.begin(REQUEST, n), drop)]

    whole = answers(6)
    assert len(set(whole)) > 1
    assert answers(3) == whole[:3]
    assert answers(6, drop=[0, 2, 5]) == [whole[k] for k in (1, 3, 4)]


def test_a_later_call_draws_other_answers(sampler: LocalSampler) -> None:
    streamer = LocalStreamer(sampler, "lines")
    first, second = ([path.text for path in read(streamer, streamer.begin(REQUEST, 6))] for _ in range(2))
    assert first != second


def test_a_prompt_is_read_once_for_all_answers_that_are_open(sampler: LocalSampler) -> None:
    streamer = LocalStreamer(sampler, "lines")
    opened = [*streamer.begin(REQUEST, 2), *streamer.begin(REQUEST, 1)]
    prompts = {id(path.raw.prompt) for path in opened if isinstance(path.raw, Writing)}
    assert len(prompts) == 1
    count = len(sampler.language.prompt(REQUEST))
    costs = [path.usage for path in opened]
    assert [(one.prompt_tokens, one.cached_tokens, one.requests) for one in costs] == [
        (count, 0, 1),
        (0, 0, 0),
        (count, count, 1),
    ]


def test_keys_and_values_are_held_for_open_tokens_only_and_given_back(sampler: LocalSampler) -> None:
    streamer = LocalStreamer(sampler, "lines")
    config = sampler.language.model.config
    token = (
        2
        * 4
        * config.num_hidden_layers
        * config.hidden_size
        * config.num_key_value_heads
        // config.num_attention_heads
    )
    opened = streamer.begin(REQUEST, 3)
    prompt = len(sampler.language.prompt(REQUEST)) * token
    assert streamer.kv_bytes == prompt
    going = streamer.advance(REQUEST, opened)
    assert not any(path.ended for path in going)
    drawn = [path.usage.completion_tokens for path in going]
    assert streamer.kv_bytes == prompt + sum(count - 1 for count in drawn) * token
    streamer.drop(REQUEST, going[:1])
    assert streamer.kv_bytes == prompt + sum(count - 1 for count in drawn[1:]) * token
    del opened, going
    gc.collect()
    assert streamer.kv_bytes == 0


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(fanouts=st.lists(st.integers(1, 3), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_forks_of_forks_have_the_probabilities_that_the_model_gives_to_their_tokens_alone(
    sampler: LocalSampler, fanouts: list[int], seed: int
) -> None:
    streamer = LocalStreamer(sampler, "lines")
    chance, paths, paid = random.Random(seed), [Path(done=False)], 0
    for fanout in fanouts:
        longer = streamer.extend(REQUEST, paths, fanout)
        assert len(longer) == fanout * len(paths)
        paid += sum(path.usage.completion_tokens for path in longer)
        for number, path in enumerate(longer):
            parent = paths[number // fanout]
            assert path.steps[: len(parent.steps)] == parent.steps
            if isinstance(path.raw, Writing):
                assert len(path.steps) == len(parent.steps) + 1
                assert path.raw.logprobs == pytest.approx(alone(sampler, path.raw.ids), abs=1e-4)
        going = [path for path in longer if not path.ended]
        paths = chance.sample(going, min(2, len(going)))
        if not paths:
            break
    assert paid > 0


def test_greedy_extensions_end_where_the_whole_answer_does(greedy: LocalSampler) -> None:
    streamer = LocalStreamer(greedy, "lines")
    [whole] = greedy.sample(REQUEST, 1)
    paths, tokens = [Path(done=False)], 0
    while not paths[0].ended:
        paths = streamer.extend(REQUEST, paths, 1)
        tokens += paths[0].usage.completion_tokens
    assert paths[0].text == whole.text
    assert tokens == whole.usage.completion_tokens
    assert paths[0].logprobs == pytest.approx(whole.logprobs, abs=1e-4)


@pytest.mark.parametrize("boundary", ["lines", "auto"])
def test_a_path_from_elsewhere_or_one_that_was_dropped_goes_on_from_its_text(
    greedy: LocalSampler, boundary: str
) -> None:
    streamer = LocalStreamer(greedy, "lines" if boundary == "lines" else "auto")
    [whole] = greedy.sample(REQUEST, 1)
    begun = whole.steps[:2]
    foreign = streamer.extend(REQUEST, [Path(begun, done=False)], 2)
    assert all(path.steps == (whole.steps[:3] if boundary == "lines" else whole.steps) for path in foreign)
    if boundary == "lines":
        [closed] = streamer.drop(REQUEST, streamer.advance(REQUEST, streamer.begin(REQUEST, 1)))
        assert streamer.extend(REQUEST, [closed], 1)[0].steps == whole.steps[:2]
        with pytest.raises(SamplerError, match="dropped"):
            streamer.advance(REQUEST, [closed])


def test_in_auto_a_fork_goes_on_with_paragraphs_once_the_text_has_decided(sampler: LocalSampler) -> None:
    streamer = LocalStreamer(sampler)
    paragraphs = Path(("3 + 4 = 7\n\n", "7 + 1 = 8\n\n"), done=False)
    longer = streamer.extend(REQUEST, [paragraphs], 3)
    for path in longer:
        assert path.steps[:2] == paragraphs.steps
        assert list(path.steps) == split_steps(path.text, "paragraphs")[: len(path.steps)]


def test_an_answer_that_has_ended_is_not_continued(sampler: LocalSampler) -> None:
    streamer = LocalStreamer(sampler, "lines")
    [ended, *_] = read(streamer, streamer.begin(REQUEST, 1))
    assert streamer.advance(REQUEST, [ended]) == [ended]
    assert streamer.drop(REQUEST, [ended]) == [ended]
    assert list(streamer.follow(REQUEST, ended)) == []
    with pytest.raises(SamplerError, match=r"has ended \(stop\)"):
        streamer.extend(REQUEST, [ended], 1)


def test_the_limit_of_tokens_cuts_an_answer_off(sampler: LocalSampler) -> None:
    short = LocalStreamer(load_sampler(POLICY, seed=3, max_new_tokens=12), "lines")
    paths = read(short, short.begin(REQUEST, 2))
    assert all((path.finish_reason, path.done) == ("length", False) for path in paths)
    assert all(path.usage.completion_tokens == 12 for path in paths)
    with pytest.raises(SamplerError, match="window"):
        short.begin(Request("pens " * 5000), 1)


def test_a_followed_answer_grows_token_by_token_into_the_same_answer(sampler: LocalSampler) -> None:
    def begun() -> tuple[LocalStreamer, Path]:
        streamer = LocalStreamer(sampler, "lines")
        return streamer, streamer.begin(REQUEST, 1)[0]

    streamer, path = begun()
    [whole] = read(streamer, [path])
    streamer, path = begun()
    grown = list(streamer.follow(REQUEST, path))
    assert replace(grown[-1], logprobs=None) == replace(whole, logprobs=None)
    assert [one.text for one in grown] == sorted((one.text for one in grown), key=len)
    assert all(whole.text.startswith(one.text) for one in grown)
    assert len(grown) >= whole.usage.completion_tokens - 1
    streamer, path = begun()
    [partial] = streamer.advance(REQUEST, [path])
    assert list(streamer.follow(REQUEST, partial))[-1].text == whole.text


async def test_the_asynchronous_streamer_gives_the_same_answers(sampler: LocalSampler) -> None:
    plain = LocalStreamer(sampler, "lines")
    expected = read(plain, plain.begin(REQUEST, 3))
    streamer = AsyncLocalStreamer(sampler, "lines")
    paths = await streamer.abegin(REQUEST, 3)
    followed = [path async for path in streamer.afollow(REQUEST, paths[2])]
    going = await streamer.aadvance(REQUEST, paths[:2])
    while not all(path.ended for path in going):
        going = await streamer.aadvance(REQUEST, going)
    for path, other in zip([*going, followed[-1]], expected, strict=True):
        assert replace(path, logprobs=None) == replace(other, logprobs=None)
        assert path.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    assert [path.text for path in await streamer.aextend(REQUEST, [Path(done=False)], 2)]
    assert len(await streamer.asample(REQUEST, 2)) == 2
    assert await streamer.adrop(REQUEST, going) == going


async def test_a_cancelled_advance_loses_nothing_and_leaves_the_model_free(sampler: LocalSampler) -> None:
    plain = LocalStreamer(sampler, "lines")
    expected = read(plain, plain.begin(REQUEST, 4))
    streamer = AsyncLocalStreamer(sampler, "lines")
    paths = await streamer.abegin(REQUEST, 4)
    tasks = asyncio.all_tasks()
    for _ in range(5):
        advancing = asyncio.create_task(streamer.aadvance(REQUEST, paths))
        await asyncio.sleep(0)
        advancing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await advancing
    assert asyncio.all_tasks() == tasks
    while not all(path.ended for path in paths):
        paths = await streamer.aadvance(REQUEST, paths)
    assert [path.text for path in paths] == [path.text for path in expected]


def test_an_advance_that_is_stopped_gives_the_paths_back_as_they_are(sampler: LocalSampler) -> None:
    streamer, stop = LocalStreamer(sampler, "lines"), threading.Event()
    stop.set()
    opened = streamer.begin(REQUEST, 2)
    stopped = streamer.advance_until(REQUEST, opened, stop)
    assert [path.steps for path in stopped] == [(), ()]
    assert [path.usage.completion_tokens for path in stopped] == [1, 1]


def test_strategies_run_live_on_it(sampler: LocalSampler) -> None:
    streamer = LocalStreamer(sampler, "lines")
    scorer = TableScorer(lambda path: [0.9 if "51" in path.text else 0.2] * max(len(path.steps), 1))
    pruned = Middleware(prune(fixed(4), max_samples=4), scorer=scorer).run(
        REQUEST, sampler, streamer=streamer
    )
    beamed = Middleware(beam(4, 2), scorer=scorer).run(REQUEST, sampler, extender=streamer)
    assert pruned.chosen.text
    assert beamed.chosen.text
    assert pruned.degraded == beamed.degraded == ()
    assert beamed.usage.prompt_tokens == len(sampler.language.prompt(REQUEST))
    scorer.seen.clear()
    gc.collect()
    assert streamer.kv_bytes == 0


LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0]])


def draws(temperature: float, top_p: float, count: int = 4000) -> Counter[int]:
    chance = random.Random(5)
    rows = LOGITS.expand(count, -1)
    return Counter(choose(rows, [chance] * count, temperature, top_p)[0])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_tokens_are_drawn_with_the_probabilities_of_the_softmax(temperature: float) -> None:
    counts = draws(temperature, 1.0)
    expected = (LOGITS[0] / temperature).softmax(-1).double().numpy() * 4000
    assert chisquare([counts[k] for k in range(4)], expected * 4000 / expected.sum()).pvalue > 0.01


def test_top_p_keeps_the_likeliest_tokens_up_to_that_probability() -> None:
    # softmax: .644 .237 .087 .032; .8 is reached by the second
    counts = draws(1.0, 0.8)
    assert counts.keys() == {0, 1}
    kept = LOGITS[0].softmax(-1).double()[:2]
    assert chisquare([counts[0], counts[1]], (kept / kept.sum()).numpy() * 4000).pvalue > 0.01
    assert draws(1.0, 0.5).keys() == {0}


def test_temperature_zero_takes_the_likeliest_and_logprobs_are_the_models_own() -> None:
    picked, logprobs = choose(LOGITS, [random.Random(1)], 0.0, 1.0)
    assert picked == [0]
    assert logprobs == pytest.approx([float(LOGITS[0].log_softmax(-1)[0])])
    assert choose(LOGITS, [random.Random(1)], 0.3, 1.0)[1][0] in LOGITS[0].log_softmax(-1).tolist()


def test_half_a_character_waits_for_its_other_half(sampler: LocalSampler) -> None:
    streamer = LocalStreamer(sampler, "lines")
    writing = streamer.begin(REQUEST, 1)[0].raw
    assert isinstance(writing, Writing)
    ids = sampler.language.plain("é\nx")
    for token in ids:
        writing.take(token, -1.0, sampler.language)
    assert writing.next_step().steps == ("é\n",)
    assert writing.path(tail=True).text == "é\nx"
    assert replace(writing.path(), raw=None).logprobs == (-1.0,) * (len(ids) - 1)
