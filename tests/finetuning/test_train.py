"""Training: it learns, it is determined by its seed, it changes only what it may, and it stops at nonsense."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedConfig

from adaptive_middleware.errors import CalibrationError, CheckpointError
from adaptive_middleware.finetuning.finetune import finetune, measured, parts, scored
from adaptive_middleware.finetuning.labelled import Labelled
from adaptive_middleware.finetuning.network import student
from adaptive_middleware.finetuning.recipes import MONOTONE, PARK_2025, Epoch, Recipe
from adaptive_middleware.finetuning.rows import training_rows
from adaptive_middleware.finetuning.train import Run, train, warm_start
from adaptive_middleware.finetuning.train import measured as loss_of
from adaptive_middleware.scoring.local import open_model
from tests.finetuning.conftest import QUICK, Made, tune
from tests.finetuning.world import labelled


@pytest.mark.parametrize("name", ["park-2025", "monotone"])
def test_training_learns_what_ends_right(base: Path, data: list[Labelled], name: str) -> None:
    recipe = replace(QUICK[name], rate=1e-2, epochs=3)
    seen: list[Epoch] = []
    finetune(open_model(base), data, recipe, tokens=600, say=seen.append)
    last = [one for one in seen if one.part == "all problems"]
    assert [one.number for one in last] == [1, 2, 3]
    assert last[-1].loss < last[0].loss
    assert str(last[-1]).startswith("all problems: epoch 3/3: loss ")
    assert last[-1].held_out_loss is None
    folds = [one for one in seen if one.part != "all problems"]
    assert [one.part for one in folds] == (
        [] if name == "park-2025" else ["fold 1 of 2"] * 3 + ["fold 2 of 2"] * 3
    )
    assert all(", on problems kept from training " in str(one) for one in folds)


def test_the_warm_start_fits_the_features_and_leaves_the_network(base: Path, data: list[Labelled]) -> None:
    opened = open_model(base)
    pupil = student(opened, MONOTONE)
    rows = training_rows(data, opened.family.layout, 500, share=True)
    before, weights = loss_of(pupil, rows, 1000), pupil.state()
    warm_start(pupil, rows, 1000)
    after = loss_of(pupil, rows, 1000)
    assert before is not None
    assert after is not None
    assert after < before - 0.05
    changed = [not one.equal(two) for one, two in zip(weights, pupil.state(), strict=True)]
    assert changed == [False] * (len(weights) - 1) + [True]


def test_the_same_seed_gives_the_same_model(base: Path, data: list[Labelled], made: dict[str, Made]) -> None:
    again = tune(base, data, QUICK["monotone"])
    assert again.reading == made["monotone"].tuned.reading
    assert scored(again, data[:8]) == scored(made["monotone"].tuned, data[:8])


def test_only_the_adapter_the_output_layer_and_the_features_learn(base: Path, data: list[Labelled]) -> None:
    opened = open_model(base)
    before = {name: value.clone() for name, value in opened.network.state_dict().items()}
    tuned = finetune(opened, data, QUICK["monotone"], tokens=600)
    after = {name.replace("base_layer.", ""): value for name, value in opened.network.state_dict().items()}
    changed = {
        name
        for name, value in before.items()
        if value.shape != after[name].shape or not value.equal(after[name])
    }
    assert changed == {"head.2.weight", "head.2.bias"}
    learned = [name for name in after if ".lora_" in name]
    assert {name.split(".lora_")[0].split(".")[-1] for name in learned} == {"q_proj", "v_proj", "0"}
    assert all(after[name].abs().max() > 0 for name in learned)
    assert max(abs(value) for row in tuned.reading.weights for value in row) > 0


def test_the_paper_s_recipe_leaves_the_output_layer_and_the_embedding_as_they_are(
    base: Path, made: dict[str, Made]
) -> None:
    network = made["park-2025"].tuned.student.network
    learned = {name.split(".lora_")[0] for name, _ in network.named_parameters() if ".lora_" in name}
    assert learned == {
        "trunk.layers.1.self_attn.q_proj",
        "trunk.layers.1.self_attn.v_proj",
        "head.0",
        "head.2",
    }
    assert [
        name for name, one in network.named_parameters() if one.requires_grad and ".lora_" not in name
    ] == []
    assert made["park-2025"].tuned.reading.weights == ()


@pytest.mark.parametrize("recipe", [replace(PARK_2025, dropout=0.0), replace(MONOTONE, dropout=0.0)])
def test_micro_batches_change_no_gradient(base: Path, data: list[Labelled], recipe: Recipe) -> None:
    found = []
    for tokens in (200, 100_000):
        torch.manual_seed(0)
        opened = open_model(base)
        pupil = student(opened, replace(recipe, epochs=1, batch=10_000, rate=1e-2))
        rows = training_rows(data, opened.family.layout, 500, share=True)
        train(pupil, rows, (), Run("all", 0, tokens, lambda _: None))
        found.append(loss_of(pupil, rows, 1000))
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_a_loss_that_is_not_finite_stops_at_its_step(base: Path, data: list[Labelled]) -> None:
    opened = open_model(base)
    with torch.no_grad():
        opened.network.trunk.norm.weight.fill_(float("inf"))
    with pytest.raises(
        CalibrationError, match=r"the loss is nan at all problems, epoch 1, step 1 of 2: the training stopped"
    ):
        finetune(opened, data, QUICK["park-2025"], tokens=600)


def test_a_trunk_that_does_not_say_its_layers_is_refused(base: Path) -> None:
    opened = open_model(base)
    opened.network.trunk.config = PreTrainedConfig()
    with pytest.raises(CheckpointError, match="tiny/prm@1: its configuration does not say how many layers"):
        student(opened, MONOTONE)


def test_unusable_data_is_refused_before_the_model_is_touched(base: Path, data: list[Labelled]) -> None:
    opened = open_model(base)
    head = opened.network.head
    with pytest.raises(CalibrationError, match="5 problems are too few"):
        finetune(opened, labelled(5), MONOTONE)
    with pytest.raises(CalibrationError, match="6 problems are too few to fine-tune"):
        finetune(opened, labelled(12), replace(MONOTONE, folds=2))
    assert opened.network.head is head


def test_parts_are_by_problem_and_by_seed(data: list[Labelled]) -> None:
    apart = parts(data, 3, 1)
    groups = [{data[i].example.group for i in part} for part in apart]
    assert sorted(i for part in apart for i in part) == list(range(len(data)))
    assert not groups[0] & groups[1] | groups[1] & groups[2] | groups[0] & groups[2]
    assert parts(data, 3, 1) == apart != parts(data, 3, 2)
    assert parts(data, 0, 1) == []


def test_a_half_precision_trunk_is_trained_with_full_precision_matrices(
    base: Path, data: list[Labelled]
) -> None:
    tuned = finetune(open_model(base, dtype="bfloat16"), data, QUICK["park-2025"], tokens=600)
    dtypes = {one.dtype for name, one in tuned.student.network.named_parameters() if one.requires_grad}
    assert dtypes == {torch.float32}
    assert measured(tuned, data)["all"].paths == len(data)
