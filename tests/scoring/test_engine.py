"""The engine: whatever is advanced, forked, dropped or forgotten, scores are those of each row alone."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import MistralConfig, MistralModel, Qwen2Config, Qwen2Model

from adaptive_middleware.errors import ConfigError, ScorerError
from adaptive_middleware.scoring import assembly, groups
from adaptive_middleware.scoring.cached import Cached
from adaptive_middleware.scoring.cascade import cascading, torch_varlen
from adaptive_middleware.scoring.computed import FromScratch
from adaptive_middleware.scoring.device import Computed, Device
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.packed import PackedModel
from adaptive_middleware.scoring.packing import Pack
from adaptive_middleware.scoring.pool import Pool
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.tree import Tree

SIZES: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}


def model(dtype: torch.dtype = torch.float32) -> StepModel:
    torch.manual_seed(0)
    trunk = Qwen2Model(Qwen2Config(**SIZES))
    torch.nn.Module.to(trunk, dtype)
    return StepModel(trunk, torch.nn.Linear(32, 2), 0).eval()


@pytest.fixture(scope="module")
def network() -> StepModel:
    return model()


@pytest.fixture(scope="module")
def roomy(network: StepModel) -> Iterator[Device]:
    device = Device(network, kv_bytes=1 << 20)
    yield device
    device.close()


@pytest.fixture(scope="module")
def cramped(network: StepModel) -> Iterator[Device]:
    """Room for 24 tokens, packs of at most 40: something is forgotten all the time, and long rows fit nowhere."""
    device = Device(network, kv_bytes=24 * 256, pack_tokens=40)
    yield device
    device.close()


def close(got: Computed, network: StepModel, rows: Sequence[Row], tolerance: float = 1e-5) -> None:
    for row, outputs in zip(rows, got.outputs, strict=True):
        alone = torch.tensor(network([row])).softmax(-1)
        assert torch.allclose(torch.tensor(outputs).softmax(-1), alone, atol=tolerance, rtol=0)


token = st.integers(1, 4)
step = st.lists(token, min_size=1, max_size=5).map(tuple)
path = st.lists(step, min_size=1, max_size=5)
calls = st.lists(st.lists(path, min_size=1, max_size=4), min_size=1, max_size=4)


def row(prompt: tuple[int, ...], steps: list[tuple[int, ...]]) -> Row:
    ids, positions = list(prompt), []
    for one in steps:
        ids += one
        positions.append(len(ids) - 1)
    return Row(tuple(ids), tuple(positions))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls=calls, prompt=step)
def test_scores_equal_those_of_each_row_alone_after_any_interleaving(
    network: StepModel,
    roomy: Device,
    cramped: Device,
    calls: list[list[list[tuple[int, ...]]]],
    prompt: tuple[int, ...],
) -> None:
    for paths in calls:
        longest = max(map(len, paths))
        for upto in range(
            1, longest + 1
        ):  # advance all, shorter ones being done; forks share their beginnings
            rows = [row(prompt, steps[:upto]) for steps in paths]
            close(roomy.outputs(rows), network, rows)
            close(cramped.outputs(rows), network, rows)


def test_the_devices_of_this_file_pack_and_the_small_one_forgets(roomy: Device, cramped: Device) -> None:
    rows = [Row((k, *range(1, 20)), (19,)) for k in range(1, 9)]
    for device in (roomy, cramped):
        assert device.unpacked is None
        device.outputs(rows)
    assert cramped.stats.evictions > 0
    assert cramped.stats.kv_bytes <= 24 * 256
    assert roomy.stats.computed_tokens > 0
    assert roomy.outputs(rows).tokens == (0,) * 8
    assert roomy.stats.reused_tokens >= 160


def test_bfloat16_packs_agree_with_float32_to_its_precision(network: StepModel) -> None:
    device = Device(model(torch.bfloat16))
    rows = [row((1, 2, 3), [(4, 5), (6, k)]) for k in range(8)]
    close(device.outputs(rows), network, rows, 5e-2)
    assert device.unpacked is None
    device.close()


def test_queries_attended_to_a_few_at_a_time_give_the_same_scores(
    network: StepModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_MOST", 50)
    device, half = Device(network), Device(model(torch.bfloat16))
    for upto in range(1, 4):
        rows = [row((1, 2, 3), [(4, 5, 6, 7), (k,), (5, 6) * k][:upto]) for k in range(1, 5)]
        close(device.outputs(rows), network, rows)
        close(half.outputs(rows), network, rows, 5e-2)


def test_tokens_shared_by_rows_of_a_call_are_counted_once(network: StepModel) -> None:
    device = Device(network)
    rows = [row((1, 2, 3), [(4, k)]) for k in range(8)]
    assert device.outputs(rows).tokens == (5, 1, 1, 1, 1, 1, 1, 1)
    device.close()


def varlen(  # noqa: PLR0917 - the kernel's contract
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cu_q: torch.Tensor, cu_k: torch.Tensor,
    max_q: int, max_k: int, *, causal: bool, scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Variable-length attention by the definition, run by run: the bottom right is causal."""
    outs, lses = [], []
    for (a, b), (c, d) in zip(pairwise(cu_q.tolist()), pairwise(cu_k.tolist()), strict=True):
        assert b - a <= max_q
        assert d - c <= max_k
        k, v = (
            part[c:d].repeat_interleave(query.shape[1] // key.shape[1], 1).transpose(0, 1)
            for part in (key, value)
        )
        scores = query[a:b].transpose(0, 1) @ k.transpose(-1, -2) * scale
        if causal:
            seen = torch.arange(d - c) <= torch.arange(b - a)[:, None] + (d - c) - (b - a)
            scores = scores.masked_fill(~seen, float("-inf"))
        outs.append((scores.softmax(-1) @ v).transpose(0, 1))
        lses.append(scores.logsumexp(-1).transpose(0, 1))
    return torch.cat(outs), torch.cat(lses)


def windowed(  # noqa: PLR0917
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cu_q: torch.Tensor, cu_k: torch.Tensor,
    max_q: int, max_k: int, *, return_aux: object = None, scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1), enable_gqa: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """torch 2.13's signature; heads first in the log-sum-exp."""
    assert return_aux == "lse"
    assert enable_gqa == (query.shape[1] != key.shape[1])
    causal = {(-1, 0): True, (-1, -1): False}[window_size]
    out, lse = varlen(query, key, value, cu_q, cu_k, max_q, max_k, causal=causal, scale=scale or 0)
    return out, lse.transpose(0, 1)


def older(  # noqa: PLR0917
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cu_q: torch.Tensor, cu_k: torch.Tensor,
    max_q: int, max_k: int, is_causal: bool = False, return_aux: object = None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """torch 2.10's signature: no scale, no grouped heads; tokens first in the log-sum-exp."""
    assert return_aux == "lse"
    assert query.shape[1] == key.shape[1]
    return varlen(
        query, key, value, cu_q, cu_k, max_q, max_k, causal=is_causal, scale=query.shape[-1] ** -0.5
    )


@pytest.mark.parametrize("kernel", [varlen, torch_varlen(windowed, "lse"), torch_varlen(older, "lse")])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(paths=st.lists(path, min_size=1, max_size=4))
def test_the_cascade_for_cuda_gives_the_same_scores_with_a_kernel_written_by_the_definition(
    network: StepModel, kernel: object, paths: list[list[tuple[int, ...]]]
) -> None:
    pool = Pool(500)
    packed = PackedModel(network, pool, cascading(kernel), buckets=(64,))  # type: ignore[arg-type]
    cached = Cached(Tree(500), packed, FromScratch(network, 1000), 1000)
    for upto in range(1, 6):
        rows = [row((1, 2, 3), steps[:upto]) for steps in paths]
        close(cached(rows), network, rows)


def test_the_kernel_of_this_torch_can_be_named() -> None:
    assert callable(torch_varlen())


class Failing:
    """A packed model that runs out of memory as scripted."""

    def __init__(self, inner: PackedModel, fails: Sequence[BaseException | None]) -> None:
        self.inner, self.fails, self.sizes = inner, list(fails), list[int]()

    def __call__(self, pack: Pack) -> None:
        self.sizes.append(len(pack.ends))
        if self.fails and (error := self.fails.pop(0)) is not None:
            raise error
        self.inner(pack)


OOM = torch.OutOfMemoryError
ROWS = [row((1, 2), [(k,)]) for k in range(3, 7)]


def failing(network: StepModel, *fails: BaseException | None) -> tuple[Cached, Failing]:
    pool, tree = Pool(100), Tree(100)
    model = Failing(PackedModel(network, pool), fails)
    return Cached(tree, model, FromScratch(network, 100), 100), model


def test_out_of_memory_halves_the_pack_once(network: StepModel) -> None:
    cached, model = failing(network, OOM())
    close(cached(ROWS), network, ROWS)
    assert model.sizes == [4, 2, 2]
    assert cached.retries == 1


def test_a_half_that_runs_out_of_memory_is_computed_from_scratch(network: StepModel) -> None:
    cached, model = failing(network, OOM(), OOM())
    got = cached(ROWS)
    close(got, network, ROWS)
    assert got.tokens == (3, 3, 3, 1)
    assert model.sizes == [4, 2, 2]


def test_a_single_row_that_runs_out_of_memory_is_tried_once_more(network: StepModel) -> None:
    cached, model = failing(network, OOM())
    close(cached(ROWS[:1]), network, ROWS[:1])
    assert model.sizes == [1, 1]


def test_a_forward_that_fails_leaves_nothing_half_known(network: StepModel) -> None:
    cached, _ = failing(network, RuntimeError("lost"))
    with pytest.raises(RuntimeError, match="lost"):
        cached(ROWS)
    assert cached.tree.held == 0
    close(cached(ROWS), network, ROWS)


class Slow(StepModel):
    """A model of which the thread can be held up, and which fails for a token it does not like."""

    gate: threading.Event
    calls: list[int]

    def forward(self, rows: Sequence[Row]) -> list[list[float]]:
        self.calls.append(len(rows))
        self.gate.wait(10)
        if any(13 in one.ids for one in rows):
            message = "thirteen"
            raise RuntimeError(message)
        made: list[list[float]] = super().forward(rows)
        return made


@pytest.fixture
def slow() -> Iterator[tuple[Slow, Device]]:
    plain = model()
    network = Slow(plain.trunk, plain.head, 0).eval()
    network.gate, network.calls = threading.Event(), []
    device = Device(plain)
    device._parts = assembly.Parts(FromScratch(network, 1000), None, "for this test")
    yield network, device
    network.gate.set()
    device.close()


def test_what_is_queued_while_the_device_is_busy_is_computed_together(slow: tuple[Slow, Device]) -> None:
    network, device = slow
    first = device.submit(ROWS[:1])
    while not network.calls:
        time.sleep(0.001)
    others = [device.submit([one]) for one in ROWS]
    assert device.stats.queued_rows == 4
    network.gate.set()
    first.result(10)
    alone = Device(model())
    for one, future in zip(ROWS, others, strict=True):
        assert torch.allclose(
            torch.tensor(future.result(10).outputs), torch.tensor(alone.outputs([one]).outputs)
        )
    assert network.calls == [1, 4]


def test_only_the_call_whose_rows_fail_fails(slow: tuple[Slow, Device]) -> None:
    network, device = slow
    first = device.submit(ROWS[:1])
    while not network.calls:
        time.sleep(0.001)
    good, bad = device.submit(ROWS), device.submit([row((13,), [(1,)])])
    network.gate.set()
    first.result(10)
    assert len(good.result(10).outputs) == 4
    with pytest.raises(RuntimeError, match="thirteen"):
        bad.result(10)


def test_a_call_that_is_cancelled_before_its_turn_costs_nothing(slow: tuple[Slow, Device]) -> None:
    network, device = slow
    first = device.submit(ROWS[:1])
    while not network.calls:
        time.sleep(0.001)
    unwanted, wanted = device.submit(ROWS), device.submit(ROWS[:2])
    assert unwanted.cancel()
    network.gate.set()
    first.result(10)
    wanted.result(10)
    assert network.calls == [1, 2]
    with pytest.raises(CancelledError):
        unwanted.result(10)


async def test_the_event_loop_goes_on_while_the_device_works(slow: tuple[Slow, Device]) -> None:
    network, device = slow
    waiting = asyncio.wrap_future(device.submit(ROWS))
    ticks = 0
    while not network.calls or ticks < 20:
        await asyncio.sleep(0)
        ticks += 1
    network.gate.set()
    assert len((await waiting).outputs) == 4


def test_a_closed_device_takes_nothing_and_one_that_is_forgotten_ends_its_thread(network: StepModel) -> None:
    before = set(threading.enumerate())
    device = Device(network)
    device.outputs(ROWS)
    (thread,) = set(threading.enumerate()) - before
    del device
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    closed = Device(network)
    closed.close()
    with pytest.raises(ScorerError, match="closed"):
        closed.submit(ROWS)


def test_no_rows_need_no_thread(network: StepModel) -> None:
    before = threading.active_count()
    device = Device(network)
    assert device.outputs([]) == Computed((), ())
    assert threading.active_count() == before


AT_ITS_END = """
from adaptive_middleware import lab
from adaptive_middleware.scoring.local import load_scorer
from adaptive_middleware.types import Path, Request

scorer = load_scorer(lab.PRM)
print(len(scorer.score(Request("Ana has 2 pens."), [Path("p", ("2 + 3 = 5\\n",))])))
"""


def test_a_program_that_ends_while_its_device_is_open_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_ITS_END], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_batch_invariant_scores_are_the_same_bit_for_bit_in_any_company(network: StepModel) -> None:
    device = Device(network, batch_invariant=True)
    together = device.outputs(ROWS)
    assert [device.outputs([one]).outputs[0] for one in ROWS] == list(together.outputs)
    assert "batch_invariant" in (device.unpacked or "")
    assert device.stats.unpacked == device.unpacked
    device.close()


def test_models_whose_layers_or_positions_differ_are_computed_from_scratch() -> None:
    def reason(trunk: torch.nn.Module) -> str:
        network = StepModel(trunk.eval(), torch.nn.Linear(32, 2), 0).eval()
        device = Device(network)
        close(device.outputs(ROWS), network, ROWS)
        device.close()
        return device.unpacked or "packed"

    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    sliding = MistralConfig(**SIZES, sliding_window=4)
    assert "sliding" in reason(MistralModel(sliding))
    assert "rope type dynamic" in reason(Qwen2Model(Qwen2Config(**SIZES, rope_parameters=rope)))
    mixed = Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=4, max_window_layers=1)
    assert "attend differently (sliding_attention)" in reason(Qwen2Model(mixed))
    assert reason(MistralModel(MistralConfig(**SIZES, sliding_window=None))) == "packed"


class Twisted(torch.nn.Module):
    """A trunk whose outputs depend on how many tokens are computed at once."""

    def __init__(self, trunk: Qwen2Model) -> None:
        super().__init__()
        self.trunk = trunk
        self.config, self.device, self.dtype = trunk.config, trunk.device, trunk.dtype

    def forward(self, **given: object) -> object:
        out = self.trunk(**given)
        out.last_hidden_state = out.last_hidden_state * out.last_hidden_state.shape[1]
        return out


class Refusing(Twisted):
    """A trunk that does not know our plan."""

    def forward(self, **given: object) -> object:
        if "plan" in given:
            message = "unexpected keyword: plan"
            raise TypeError(message)
        return self.trunk(**given)


def test_a_model_that_gives_other_outputs_in_packs_or_refuses_them_is_computed_from_scratch() -> None:
    plain = model().trunk
    twisted, refusing = (
        Device(StepModel(kind(plain), torch.nn.Linear(32, 2), 0).eval()) for kind in (Twisted, Refusing)
    )
    assert "differ by" in (twisted.unpacked or "")
    assert "cannot be replaced (TypeError" in (refusing.unpacked or "")


def test_too_little_room_for_one_token_is_said(network: StepModel) -> None:
    assert "holds no token of 256 bytes" in (Device(network, kv_bytes=100).unpacked or "")


def test_a_compiled_model_gives_the_same_scores(network: StepModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiling(mode: str) -> object:
        assert mode == "default"
        return lambda trunk: torch.compile(trunk, backend="eager", dynamic=True)

    monkeypatch.setattr(assembly, "_compiling", compiling)
    device = Device(network, compile="default")
    for upto in range(1, 4):
        rows = [row((1, 2, 3), [(4, k), (k,), (5, 6)][:upto]) for k in range(4)]
        close(device.outputs(rows), network, rows)
    device.close()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch imports its own old parts
def test_compiling_is_asked_of_torch_by_the_mode_s_own_name() -> None:
    compiled = assembly._compiling("reduce-overhead")(model().trunk)
    assert isinstance(compiled, torch._dynamo.OptimizedModule)
    with pytest.raises(ConfigError, match="choose one of off, default, reduce-overhead"):
        Device(model(), compile="fast")
