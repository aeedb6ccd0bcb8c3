"""Recipes by name, and the paper's to the letter."""

from dataclasses import asdict

import pytest

from adaptive_middleware.errors import ConfigError
from adaptive_middleware.finetuning.recipes import PARK_2025, recipe


def test_the_paper_s_recipe_is_the_paper_s() -> None:
    assert recipe("park-2025") is PARK_2025
    assert asdict(PARK_2025) == {
        "name": "park-2025", "shape": "independent", "levels": (0.1, 0.5, 0.9), "rank": 2, "alpha": 32, "dropout": 0.1,
        "every": 4, "rate": 1e-4, "feature_rate": 0.0, "epochs": 3, "batch": 32, "finished": False, "features": False,
        "trained_output": False, "folds": 0,
    }  # fmt: skip
    adapter = PARK_2025.adapter(28, ("head.0", "head.2"))
    assert adapter.layers == (3, 7, 11, 15, 19, 23, 27)
    assert adapter.modules == ("q_proj", "v_proj", "embed_tokens", "head.0", "head.2")


def test_an_unknown_recipe_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown recipe 'park': choose one of park-2025, monotone"):
        recipe("park")
