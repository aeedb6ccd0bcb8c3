"""Settings from files and options: strict, and every problem named."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware.collect.reading import read_settings
from adaptive_middleware.collect.settings import LabSampler, OpenAISampler, Settings, TransformersSampler
from adaptive_middleware.errors import ConfigError

YAML = """
version: 1
sampler: {kind: openai, base_url: "http://localhost:8000/v1", model: m, temperature: 0.7}
prm: {kind: lab}
check: {kind: unit-tests, seconds: 5}
answers: 8
budget_tokens: 1000
"""


def test_defaults_need_no_file() -> None:
    assert read_settings(None, {}) == Settings()


def test_yaml_and_toml_say_the_same(tmp_path: File) -> None:
    (tmp_path / "c.yaml").write_text(YAML)
    (tmp_path / "c.toml").write_text(
        'version = 1\nanswers = 8\nbudget_tokens = 1000\nprm = {kind = "lab"}\n[check]\nkind = "unit-tests"\n'
        'seconds = 5\n[sampler]\nkind = "openai"\nbase_url = "http://localhost:8000/v1"\nmodel = "m"\ntemperature = 0.7\n'
    )
    assert read_settings(tmp_path / "c.yaml", {}) == read_settings(tmp_path / "c.toml", {})


def test_options_go_over_the_file_key_by_key_and_a_new_kind_replaces_the_section(tmp_path: File) -> None:
    (tmp_path / "c.yaml").write_text(YAML)
    same = read_settings(tmp_path / "c.yaml", {"answers": 2, "sampler": {"temperature": 1.5}})
    assert isinstance(same.sampler, OpenAISampler)
    assert (same.answers, same.sampler.temperature, same.sampler.model) == (2, 1.5, "m")
    other = read_settings(tmp_path / "c.yaml", {"sampler": {"kind": "lab"}})
    assert isinstance(other.sampler, LabSampler)
    again = read_settings(tmp_path / "c.yaml", {"sampler": {"kind": "openai", "model": "n"}})
    assert isinstance(again.sampler, OpenAISampler)
    assert (again.sampler.model, again.sampler.temperature) == ("n", 0.7)


def test_folders_of_models_are_relative_to_the_file(tmp_path: File) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "c.yaml").write_text(
        "sampler: {kind: transformers, model: policy}\nprm: {kind: transformers, model: some/hub-name}\n"
    )
    settings = read_settings(tmp_path / "c.yaml", {})
    assert isinstance(settings.sampler, TransformersSampler)
    assert settings.sampler.model == str(tmp_path / "policy")
    assert settings.prm is not None
    assert settings.prm.model_dump()["model"] == "some/hub-name"


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"answrs": 3}, r"unknown key 'answrs'; did you mean 'answers'\?"),
        (
            {"sampler": {"kind": "lab", "temprature": 1}},
            r"unknown key 'temprature' in sampler; did you mean 'temperature'\?",
        ),
        ({"check": {"kind": "exact", "secs": 1}}, r"unknown key 'secs' in check"),
        ({"sampler": {"kind": "openai", "model": "m"}}, r"key 'base_url' is missing in sampler; add it"),
        ({"sampler": {"kind": "robot"}}, r"sampler is .*'robot'"),
        ({"rollouts": 0}, r"rollouts is 0: Input should be greater than or equal to 1"),
        ({"held_out": 1.0}, r"held_out is 1.0: Input should be less than 1"),
        ({"answers": "4"}, r"answers is '4': Input should be a valid integer"),
        ({"method": "magic"}, r"method is 'magic'"),
        ({"system": "x" * 200, "seed": "y" * 200}, r"seed is 'yyy.*\.\.\.: Input"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        read_settings(None, given)


def test_problems_of_a_file_come_with_line_and_column(tmp_path: File) -> None:
    (tmp_path / "c.yaml").write_text("version: 1\nanswers: 0\nrolouts: 3\n")
    with pytest.raises(ConfigError) as refused:
        read_settings(tmp_path / "c.yaml", {})
    assert (refused.value.line, refused.value.column) == (2, 10)
    assert f"{tmp_path / 'c.yaml'}:3:1: unknown key 'rolouts'" in str(refused.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "answers: 4\nanswers: 5\n", "answers:\n"])
def test_a_file_that_says_nothing_usable_is_refused(tmp_path: File, content: str) -> None:
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(ConfigError):
        read_settings(tmp_path / "c.yaml", {})
