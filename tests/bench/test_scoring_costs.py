import random

import pytest

from bench.scoring.costs import Peak, Work, branched, floor_ms, flops, mfu, padded, separate, span, total
from bench.scoring.shapes import SEPARATOR, SHAPES
from bench.scoring.workload import Setting, Workload, cut, workload

PEAK = Peak(790e12, 3.0e12)
"""The ceilings from which the table of performance.md 1.1 is computed."""


def visible(lengths: list[tuple[int, int]]) -> Work:
    """Tokens and (query, key) pairs by looking at every pair: spans (first computed position, end) of sequences."""
    pairs = [(q, k) for start, stop in lengths for q in range(start, stop) for k in range(stop) if k <= q]
    return Work(sum(stop - start for start, stop in lengths), len(pairs))


def test_work_is_what_counting_every_pair_gives() -> None:
    rng = random.Random(0)
    for _ in range(30):
        prompt = rng.randrange(1, 9)
        before = [rng.randrange(4) for _ in range(3)]
        after = [old + rng.randrange(1, 5) for old in before]
        ends = [prompt + new for new in after]
        assert separate(ends) == visible([(0, end) for end in ends])
        assert padded(ends) == visible([(0, max(ends))] * 3)
        grown = [(prompt + old, end) for old, end in zip(before, ends, strict=True)]
        assert branched(0, prompt, before, after) == visible([(0, prompt), *grown])
        assert branched(prompt, prompt, before, after) == visible(grown)


@pytest.mark.parametrize(
    ("shape", "billions", "kib"), [("7b", 6.525, 56), ("1.5b", 1.310, 28), ("135m", 0.106, 22.5)]
)
def test_shapes_have_the_weights_and_the_kv_bytes_of_the_public_models(
    shape: str, billions: float, kib: float
) -> None:
    assert round(SHAPES[shape].parameters / 1e9, 3) == billions
    assert SHAPES[shape].kv_bytes(1, itemsize=2) == kib * 1024


@pytest.mark.parametrize(
    ("shape", "apart", "shared", "weights"),
    [("7b", 205, 142, 4.35), ("1.5b", 41.8, 28.9, 0.87), ("135m", 3.7, 2.6, 0.07)],
)
def test_floors_are_those_of_the_roofline_table(
    shape: str, apart: float, shared: float, weights: float
) -> None:
    load = workload(Setting(16, 256, 512, 4))
    assert floor_ms(SHAPES[shape], load.alone(4), PEAK, 2) == pytest.approx(apart, rel=0.02)
    assert floor_ms(SHAPES[shape], load.shared(4), PEAK, 2) == pytest.approx(shared, rel=0.02)
    assert floor_ms(SHAPES[shape], span(0, 1), PEAK, 2) == pytest.approx(weights, rel=0.02)


@pytest.mark.parametrize(
    ("prompt", "length", "n", "gain"), [(256, 512, 16, 1.45), (2048, 256, 16, 6), (4096, 128, 16, 11)]
)
def test_a_shared_prompt_saves_the_tokens_that_the_formula_says(
    prompt: int, length: int, n: int, gain: float
) -> None:
    load = workload(Setting(n, prompt, length, 4))
    ratio = load.alone(4).tokens / load.shared(4).tokens
    assert ratio == n * (prompt + length) / (prompt + n * length)
    assert ratio == pytest.approx(gain, rel=0.01)


@pytest.mark.parametrize(("n", "prompt", "step", "steps"), [(8, 256, 32, 4), (16, 256, 64, 8), (2, 5, 3, 7)])
def test_tokens_of_rescoring_and_of_keeping_are_those_of_the_formulas(
    n: int, prompt: int, step: int, steps: int
) -> None:
    load = workload(Setting(n, prompt, step * steps, steps))
    every = range(1, steps + 1)
    triangle = step * steps * (steps + 1) // 2
    assert sum(load.padded(s).tokens for s in every) == n * (steps * prompt + triangle)
    assert sum(load.shared(s).tokens for s in every) == steps * prompt + n * triangle
    assert sum(load.added(s).tokens for s in every) == prompt + n * steps * step
    assert total(load.added(s) for s in every) == load.shared(steps)


def test_utilisation_is_operations_over_what_the_peak_does_in_the_time() -> None:
    shape, peak = SHAPES["tiny"], Peak(2e9, 1.0)
    per_token = 2 * 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 96)
    per_pair = 2 * 2 * 2 * 64
    assert flops(shape, Work(3, 7)) == 3 * per_token + 7 * per_pair
    assert mfu(shape, Work(3, 7), 50.0, peak) == (3 * per_token + 7 * per_pair) / (0.05 * 2e9)


def test_ragged_answers_have_the_mean_length_and_end_every_step_with_the_separator() -> None:
    load = workload(Setting(16, 8, 512, 5, ragged=True))
    tails = load.tails(5)
    assert sum(tails) == 16 * 512
    assert min(tails) >= 256
    assert max(tails) <= 768
    assert load.padded(5).tokens > load.alone(5).tokens
    for row in load.rows(5):
        assert [place for place, token in enumerate(row.ids) if token == SEPARATOR] == list(row.positions)


def test_rows_grow_by_whole_steps_and_prompts_apart_share_no_prefix() -> None:
    load: Workload = workload(Setting(3, 8, 12, 4, ragged=True))
    for step in range(1, 4):
        for short, long in zip(load.rows(step), load.rows(step + 1), strict=True):
            assert long.ids[: len(short.ids)] == short.ids
            assert long.positions[:step] == short.positions
    assert len({row.ids[0] for row in load.rows(4)}) == 1
    assert len({row.ids[0] for row in load.apart.rows(4)}) == 3


def test_cut_parts_sum_to_the_whole() -> None:
    assert [sum(cut(n, parts)) for n in range(3, 40) for parts in (1, 2, 3)] == [
        n for n in range(3, 40) for _ in range(3)
    ]
