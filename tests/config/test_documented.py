"""docs/configuration.md and the JSON schema say what the reader does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from adaptive_middleware.config import (
    calls,
    json_schema,
    keeping,
    load,
    observing,
    prms,
    schema,
    stopping,
    strategies,
    tools,
    upstream,
)
from adaptive_middleware.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
MODELS = [
    model
    for module in (calls, keeping, observing, prms, schema, stopping, strategies, tools, upstream)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__
]


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def block(language: str) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", page(), re.DOTALL)[0])


def rows() -> list[list[str]]:
    lines = [line.strip("|").split("|") for line in page().splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_is_documented_with_its_default(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        about = [row for row in rows() if row[0] == f"`{name}`"]
        assert about, f"{name} of {model.__name__} is not documented"
        if isinstance(field.default, (str, int, float)):
            shown = f"`{json.dumps(field.default).strip(chr(34))}`"
            assert any(row[2] == shown for row in about), f"default {shown} of {name} is not documented"


def test_every_documented_key_exists() -> None:
    known = {f"`{name}`" for model in MODELS for name in model.model_fields}
    assert {row[0] for row in rows()} <= known


def test_every_field_has_a_description_that_editors_show() -> None:
    silent = [
        f"{model.__name__}.{name}"
        for model in MODELS
        for name, field in model.model_fields.items()
        if len(field.description or "") < 10
    ]
    assert silent == []


def test_the_two_examples_say_the_same_and_are_valid(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(block("yaml"), encoding="utf-8")
    (tmp_path / "a.toml").write_text(block("toml"), encoding="utf-8")
    by_yaml, by_toml = load(tmp_path / "a.yaml").settings, load(tmp_path / "a.toml").settings
    assert by_yaml == by_toml
    assert list(by_yaml.policies) == ["codegen", "planner", "default"]


def test_the_example_fits_the_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(block("yaml")))


POOLING = {"kind": "pooling", "model": "m", "tokenizer": "t", "family": "reasoneval"}
BEST = {"strategy": "best-of-n"}
LAB = {"kind": "lab"}


def lab(**keys: Any) -> dict[str, Any]:
    return {"version": 1, "prm": LAB, "policies": {"default": keys}}


VERDICTS: list[tuple[dict[str, Any], bool]] = [
    ({"version": 1}, True),
    ({}, False),
    ({"version": 2}, False),
    ({"version": 1, "prm": None}, False),
    ({"version": 1, "upstream": {"base_url": "http://[::1]:8000/v1", "key_env": "A_KEY"}}, True),
    ({"version": 1, "upstream": {"base_url": "https://api.example", "timeout": 5}}, True),
    ({"version": 1, "upstream": {"base_url": "ftp://a/v1"}}, False),
    ({"version": 1, "upstream": {"base_url": "http://user:word@a/v1"}}, False),
    ({"version": 1, "upstream": {"base_url": "http://a/v1?key=x"}}, False),
    ({"version": 1, "upstream": {"base_url": "http://a/v1", "key_env": "$A"}}, False),
    ({"version": 1, "upstream": {}}, False),
    ({"version": 1, "budgets": {}}, False),
    ({"version": 1, "prm": {"kind": "lab"}, "calibration": "lab"}, True),
    ({"version": 1, "prm": {"kind": "lab", "model": "x"}}, False),
    ({"version": 1, "prm": {"kind": "transformers"}}, False),
    ({"version": 1, "prm": {"kind": "transformers", "model": "m", "device": "cuda:1"}}, True),
    ({"version": 1, "prm": {"kind": "transformers", "model": "m", "device": "gpu"}}, False),
    ({"version": 1, "prm": {"kind": "transformers", "model": "m", "sha256": "F" * 64}}, False),
    ({"version": 1, "prm": {"kind": "transformers", "model": "m", "sha256_files": {"a": "f" * 64}}}, True),
    ({"version": 1, "prm": {"kind": "transformers", "model": "m", "sha256_files": {}}}, False),
    ({"version": 1, "prm": {"kind": "python", "target": "a.b:c", "args": {"x": [None, {}]}}}, True),
    ({"version": 1, "prm": {"kind": "python", "target": "a.b"}}, False),
    ({"version": 1, "prm": {**POOLING, "urls": ["http://a:1", "https://b"], "timeout": 0.5}}, True),
    ({"version": 1, "prm": {**POOLING, "urls": []}}, False),
    ({"version": 1, "prm": {**POOLING, "urls": ["a:1"]}}, False),
    ({"version": 1, "prm": {**POOLING, "urls": "http://a"}}, False),
    ({"version": 1, "prm": POOLING}, False),
    ({"version": 1, "policies": {"default": BEST}}, True),
    ({"version": 1, "policies": {"default": {**BEST, "max_samples": 1024}}}, True),
    ({"version": 1, "policies": {"default": {**BEST, "max_samples": 1025}}}, False),
    ({"version": 1, "policies": {"default": {**BEST, "max_samples": True}}}, False),
    ({"version": 1, "policies": {"default": {**BEST, "policy": {"kind": "agreement"}}}}, True),
    (
        {"version": 1, "policies": {"default": {**BEST, "policy": {"kind": "agreement", "confidence": 1}}}},
        False,
    ),
    ({"version": 1, "policies": {"default": {**BEST, "policy": {"kind": "fixed"}}}}, False),
    (
        {"version": 1, "policies": {"default": {**BEST, "policy": {"kind": "early-stopping", "window": 3}}}},
        True,
    ),
    (
        {"version": 1, "policies": {"default": {**BEST, "policy": {"kind": "early-stopping", "window": 0}}}},
        False,
    ),
    (
        {
            "version": 1,
            "policies": {"default": {**BEST, "policy": {"kind": "score-distribution", "method": "x"}}},
        },
        False,
    ),
    (
        {
            "version": 1,
            "policies": {"default": {**BEST, "policy": {"kind": "score-distribution", "target": 1}}},
        },
        False,
    ),
    (
        {
            "version": 1,
            "prm": {"kind": "lab"},
            "policies": {
                "default": {**BEST, "policy": {"kind": "score-distribution", "method": "map", "prior_mu": 1}}
            },
        },
        True,
    ),
    ({"version": 1, "policies": {"default": {**BEST, "select": "vote"}}}, False),
    (lab(strategy="best-of-n", tools={"deploy": {"target": 0.97, "on_fail": "abstain"}}), True),
    (lab(strategy="prune", tools={"search": {"samples": 1, "ignore": ["why"]}}), True),
    (lab(strategy="first-good", tools={"search": {"samples": 1}}), False),
    (lab(strategy="best-of-n", tools={"search": {"samples": 0}}), False),
    (lab(strategy="best-of-n", tools={"deploy": {"target": 1}}), False),
    (lab(strategy="best-of-n", tools={"deploy": {"target": 0.9, "on_fail": "ask"}}), False),
    (lab(strategy="best-of-n", tools={"search": {"ignore": []}}), False),
    (lab(strategy="best-of-n", tools={"": {"samples": 1}}), False),
    (lab(strategy="best-of-n", tools=["search"]), False),
    (lab(strategy="best-of-n", tools={"search": 1}), False),
    (lab(strategy="best-of-n", verifier={"kind": "tool-schema"}), True),
    (lab(strategy="best-of-n", verifier={"kind": "tool-schema", "target": "a:b"}), False),
    ({"version": 1, "policies": {"a": {**BEST, "when": {"tags": ["x"], "model": "o*"}}}}, True),
    ({"version": 1, "policies": {"a": {**BEST, "when": {"tags": []}}}}, False),
    ({"version": 1, "policies": {"default": {"strategy": "pass-through", "select": "argmax"}}}, False),
    (lab(strategy="prune", steps="lines", keep={"kind": "dominated", "give_up": 0.1}), True),
    (lab(strategy="prune", keep={"kind": "worth-finishing", "impatience": 1.5}), True),
    (lab(strategy="prune", keep={"kind": "worth-finishing", "per_tokens": 0}), False),
    (lab(strategy="prune", keep={"kind": "dominated", "give_up": 1}), False),
    (lab(strategy="prune", steps="words"), False),
    (lab(strategy="best-of-n", keep={"kind": "dominated"}), False),
    (lab(strategy="first-good", good=0.8, by="mean", look=2, otherwise="best-of-n"), True),
    (lab(strategy="first-good", good=1), False),
    (lab(strategy="first-good", otherwise="beam"), False),
    (lab(strategy="prune", good=0.8), False),
    (
        lab(
            strategy="effort", rungs=[{"name": "a", "at_least": 0.5, "parameters": {"x": [1]}}, {"name": "b"}]
        ),
        True,
    ),
    (
        lab(strategy="effort", rungs=[{"name": "a", "model": "m"}], target=0.9, attempts=3, judge="answer"),
        True,
    ),
    (lab(strategy="effort"), False),
    (lab(strategy="effort", rungs=[]), False),
    (lab(strategy="effort", rungs=[{"at_least": 0.5}]), False),
    (lab(strategy="effort", rungs=[{"name": "a", "at_least": 1}]), False),
    (lab(strategy="effort", rungs=[{"name": "a", "effort": "low"}]), False),
    (lab(strategy="beam", adapt="m", samples=8, fanout=2), True),
    (lab(strategy="beam", adapt="n"), False),
    (lab(strategy="beam", max_samples=8), False),
    ({"version": 1, "budget": {"per_call": {"tokens": 1, "seconds": 0.5}}}, True),
    ({"version": 1, "budget": {"per_call": {"seconds": 0}}}, False),
    ({"version": 1, "budget": {"per_call": {"tokens": "5"}}}, False),
]


@pytest.mark.parametrize(("document", "valid"), VERDICTS, ids=lambda each: str(each)[13:80])
def test_editors_and_the_reader_agree(document: dict[str, Any], valid: bool) -> None:
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(document) is valid
    if valid:
        load(document)
    else:
        with pytest.raises(ConfigError):
            load(document)
