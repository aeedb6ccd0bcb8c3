"""A tiny base model and what was fine-tuned from it, shared by the tests that only read."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adaptive_middleware.finetuning.finetune import FineTuned, finetune
from adaptive_middleware.finetuning.labelled import Labelled
from adaptive_middleware.finetuning.recipes import MONOTONE, PARK_2025, Recipe
from adaptive_middleware.finetuning.save import save
from adaptive_middleware.scoring.local import open_model
from tests import tiny
from tests.finetuning.world import labelled

QUICK = {
    "park-2025": replace(PARK_2025, epochs=1),
    "monotone": replace(MONOTONE, epochs=1, rate=3e-3, folds=2),
    "increments": replace(MONOTONE, name="increments", epochs=1, shape="increments", folds=2),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A recipe's result, and where it was saved."""

    tuned: FineTuned
    folder: Path


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.qwen_prm(tmp_path_factory.mktemp("prm"), adaptive_family={"id": "tiny/prm@1"})


@pytest.fixture(scope="session")
def data() -> list[Labelled]:
    return labelled(20)


def tune(base: Path, data: list[Labelled], recipe: Recipe) -> FineTuned:
    return finetune(open_model(base), data, recipe, tokens=600)


@pytest.fixture(scope="session")
def made(base: Path, data: list[Labelled], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    found = {}
    for name, recipe in QUICK.items():
        tuned, folder = tune(base, data, recipe), tmp_path_factory.mktemp("out") / name
        save(tuned, folder, generator="tiny/lm", data_sha256="0" * 64, metrics={"all.ece": 0.1})
        found[name] = Made(tuned, folder)
    return found
