"""docs/policies.md computes what it shows, and names every kind."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import get_args

import yaml

from adaptive_middleware.config import load, stopping

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
KINDS = [
    get_args(model.model_fields["kind"].annotation)[0]
    for model in (
        stopping.FixedPolicy,
        stopping.InstanceAdaptivePolicy,
        stopping.AgreementPolicy,
        stopping.EarlyStoppingPolicy,
        stopping.ScoreDistributionPolicy,
        stopping.WeightedAgreementPolicy,
        stopping.OptimalStoppingPolicy,
    )
]


def test_every_number_of_the_examples_is_computed() -> None:
    done = doctest.testfile(str(PAGE), module_relative=False)
    assert done.attempted > 15
    assert done.failed == 0


def test_every_kind_has_a_section_with_a_valid_example() -> None:
    text = PAGE.read_text(encoding="utf-8")
    sections = {part.split("\n", 1)[0]: part for part in text.split("\n## ")[1:]}
    for kind in KINDS:
        examples = re.findall(r"```yaml\n(.*?)```", sections[kind], re.DOTALL)
        assert examples
        for example in examples:
            rule = {"strategy": "best-of-n", **yaml.safe_load(example)}
            assert rule["policy"]["kind"] == kind
            load({"version": 1, "prm": {"kind": "lab"}, "policies": {"default": rule}})


def test_the_example_of_prune_is_valid() -> None:
    (example,) = (
        each
        for each in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        if "keep:" in each
    )
    load({"version": 1, "prm": {"kind": "lab"}, "policies": {"default": yaml.safe_load(example)}})
