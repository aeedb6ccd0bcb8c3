"""docs/strategies.md names every strategy, and its example is valid."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import get_args

import yaml

from adaptive_middleware.config import load
from adaptive_middleware.config.strategies import PolicyRule

FILE = Path(__file__).parents[2] / "docs" / "strategies.md"
PAGE = FILE.read_text(encoding="utf-8")


def test_every_strategy_has_a_row() -> None:
    (union, _) = get_args(PolicyRule)
    names = {get_args(model.model_fields["strategy"].annotation)[0] for model in get_args(union)}
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == names


def test_the_sessions_shown_are_what_python_says() -> None:
    done = doctest.testfile(str(FILE), module_relative=False)
    assert done.attempted > 0
    assert done.failed == 0


def test_the_example_is_valid() -> None:
    example, *_ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    plan = load(yaml.safe_load(example))
    assert list(plan.settings.policies) == ["chat", "planner", "default"]


def test_the_example_of_signals_before_a_model_is_valid() -> None:
    (example,) = (
        each for each in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "code-signals" in each
    )
    load({"version": 1, **yaml.safe_load(example)})


def test_the_example_of_a_ladder_in_the_configurations_manual_is_valid() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    (example,) = (each for each in re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL) if "rungs:" in each)
    load({"version": 1, "prm": {"kind": "lab"}, "policies": {"default": yaml.safe_load(example)}})
