"""The quantile head begins as the old head, for each family that can be fine-tuned; the adapter begins as nothing."""

import sys
from collections.abc import Callable
from dataclasses import replace
from math import log
from pathlib import Path as FilePath

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2Model

from adaptive_middleware.errors import CheckpointError, ConfigError
from adaptive_middleware.scoring.device import Device
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.local import LocalScorer, Opened, open_model
from adaptive_middleware.scoring.quantiles_folder import Adapter
from adaptive_middleware.scoring.quantiles_heads import (
    adapted,
    fill,
    last_layer,
    low_rank,
    output_layer,
    quantile_head,
)
from adaptive_middleware.types import Path, Request
from tests import tiny

ASKED = Request("What is 2 + 2?")
PATHS = [Path(), Path(("2 + 2 = 4\n",)), Path(("2 + 2 = 5\n", "so 5\n", "I think\n"))]
MAKERS: dict[str, Callable[[FilePath], FilePath]] = {
    "qwen-math-prm": tiny.qwen_prm,
    "skywork-prm": tiny.skywork_prm,
    "math-shepherd": tiny.math_shepherd,
    "rlhflow": tiny.llama_chat,
}
QWEN = ("q_proj", "v_proj", "embed_tokens", "head.0", "head.2")
PARK = Adapter(2, 32, 0.1, QWEN, (1,))


def scorer(opened: Opened) -> LocalScorer:
    return LocalScorer(opened.name, opened.family, Device(opened.network.eval()), window=400)


@pytest.mark.parametrize("family", MAKERS)
def test_before_training_each_quantile_equals_the_old_probability(family: str, tmp_path: FilePath) -> None:
    opened = open_model(MAKERS[family](tmp_path), family=family)
    old = [value for found in scorer(opened).score(ASKED, PATHS) for value in found.values]
    opened.network.head = quantile_head(family, opened.network.head, [(1.0, 0.0)] * 3)
    modules = QWEN if family == "qwen-math-prm" else (*QWEN[:3], "head")
    adapted(opened.network, replace(PARK, modules=modules))
    raw = torch.tensor([output for found in scorer(opened).raw(ASKED, PATHS) for output in found.outputs])
    assert raw.shape == (len(old), 3)
    for column in raw.sigmoid().unbind(-1):
        assert column.tolist() == pytest.approx(old, abs=1e-6)


def test_an_output_may_begin_as_a_constant(tmp_path: FilePath) -> None:
    opened = open_model(tiny.qwen_prm(tmp_path))
    opened.network.head = quantile_head("qwen-math-prm", opened.network.head, [(1.0, 0.0), (0.0, log(8))])
    found = scorer(opened).raw(ASKED, PATHS)
    assert all(output[1] == pytest.approx(log(8)) for one in found for output in one.outputs)


@pytest.mark.parametrize(
    ("family", "why"), [("reasoneval", "sums two of three classes"), ("judge", "asked in words")]
)
def test_other_families_are_refused_with_the_reason(family: str, why: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"the family '{family}' cannot be fine-tuned: .*{why}.*use one of qwen-math-prm"
    ):
        quantile_head(family, nn.Linear(4, 3), [(1.0, 0.0)])


def test_peft_leaves_the_embedding_alone_because_the_layers_are_named(tmp_path: FilePath) -> None:
    network = adapted(open_model(tiny.qwen_prm(tmp_path)).network, PARK)
    where = {name.split(".lora_")[0] for name in low_rank(network)}
    assert where == {"trunk.layers.1.self_attn.q_proj", "trunk.layers.1.self_attn.v_proj", "head.0", "head.2"}
    assert [name for name, one in network.named_parameters() if one.requires_grad] == list(low_rank(network))


def test_the_output_layer_is_found_inside_an_adapter_too(tmp_path: FilePath) -> None:
    network = open_model(tiny.qwen_prm(tmp_path)).network
    before = output_layer(network)
    assert output_layer(adapted(network, PARK)).keys() == before.keys() == {"weight", "bias"}
    assert output_layer(network)["weight"] is before["weight"]


def test_without_peft_the_remedy_is_one_line(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    network = open_model(tiny.qwen_prm(tmp_path)).network
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(
        ConfigError,
        match=r"needs peft, which is not installed: pip install 'adaptive-middleware\[prm\]'(\n|$)",
    ):
        adapted(network, PARK)


def gpt2() -> StepModel:
    return StepModel(GPT2Model(GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2)), nn.Linear(8, 2), 0)


@pytest.mark.parametrize("modules", [("q_proj", "v_proj"), ("q_proj", "v_proj", "head")])
def test_a_trunk_without_such_projections_is_refused(modules: tuple[str, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"q_proj, v_proj.*its architecture cannot be fine-tuned"):
        adapted(gpt2(), Adapter(2, 32, 0.1, modules, (1,)))


def test_a_head_that_does_not_end_in_a_linear_layer_is_refused() -> None:
    with pytest.raises(CheckpointError, match="the head ends in a ReLU"):
        last_layer(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))


@pytest.mark.parametrize("found", [{}, {"a": torch.zeros(3)}, {"a": torch.zeros(2), "b": torch.zeros(1)}])
def test_tensors_of_another_model_are_refused(found: dict[str, torch.Tensor]) -> None:
    with pytest.raises(
        CheckpointError, match=r"x\.safetensors does not fit this process reward model \(at '[ab]'\)"
    ):
        fill({"a": nn.Parameter(torch.ones(2))}, found, "x.safetensors")
