"""`config check` shows what would apply, or everything that is wrong; `config schema` is for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from adaptive_middleware.cli import app
from adaptive_middleware.config import json_schema

GOOD = """\
version: 1
prm: {kind: python, target: "tests.config.parts:Scores"}
policies:
  default: {strategy: best-of-n, policy: {kind: fixed, n: 3}, budget: {seconds: 1.5}}
  code:
    when: {tags: [code, beta], model: "o*"}
    strategy: best-of-n
    policy: {kind: agreement, window: 2}
    select: majority
    verifier: {kind: python, target: "tests.config.parts:Contains", args: {word: x}}
  plain: {when: {call_site: "a.*"}, strategy: pass-through}
budget: {per_call: {tokens: 900}}
"""


def ran(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["config", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.yaml").write_text(GOOD)
    return str(tmp_path / "good.yaml")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    (tmp_path / "bad.yaml").write_text(
        "version: 1\nprn: {kind: lab}\npolicies: {default: {strategy: best-of-m}}\n"
    )
    return str(tmp_path / "bad.yaml")


def test_check_shows_the_rules_in_the_order_in_which_they_are_tried(good: str) -> None:
    status, shown, errors = ran("check", good)
    assert (status, errors) == (0, "")
    assert shown.splitlines() == [
        f"{good} is valid. The first rule that takes a call decides:",
        (
            "  1. code (tags code + beta and model o*): best-of-n, agreement(confidence=0.95, window=2), "
            "at most 16 samples, select majority, verifier tests.config.parts:Contains, 900 tokens a call"
        ),
        "  2. plain (call_site a.*): pass-through, 900 tokens a call",
        (
            "  3. default (all other calls): best-of-n, fixed(n=3), at most 3 samples, select argmax, "
            "900 tokens a call, 1.5 s a call"
        ),
        "Process reward model: python, target tests.config.parts:Scores, args {}",
        "Calibration: none",
    ]


def test_check_as_json_says_the_same(good: str) -> None:
    status, shown, _ = ran("check", good, "--json")
    found: dict[str, Any] = json.loads(shown)
    assert (status, found["valid"], found["file"]) == (0, True, good)
    assert [rule["name"] for rule in found["rules"]] == ["code", "plain", "default"]
    assert found["rules"][0] == {
        "name": "code",
        "when": {"tags": ["code", "beta"], "model": "o*"},
        "strategy": "best-of-n",
        "tokens": 900,
        "seconds": None,
        "policy": {"kind": "agreement", "confidence": 0.95, "window": 2},
        "max_samples": 16,
        "select": "majority",
        "score_question": True,
        "verifier": "tests.config.parts:Contains",
        "tools": {},
    }


def test_rules_of_tools_are_shown(tmp_path: Path) -> None:
    tools = "{deploy: {target: 0.97, on_fail: abstain}, 'get_*': {samples: 1}}"
    (tmp_path / "a.yaml").write_text(
        f"version: 1\nprm: {{kind: lab}}\npolicies: {{default: {{strategy: best-of-n, tools: {tools}}}}}\n"
    )
    status, shown, _ = ran("check", str(tmp_path / "a.yaml"))
    assert status == 0
    assert shown.splitlines()[1].endswith(
        "select argmax, tools deploy(target=0.97, on_fail=abstain) / get_*(samples=1, on_fail=return)"
    )


def test_a_configuration_that_only_passes_through_is_shown_too(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("version = 1\n")
    _, shown, _ = ran("check", str(tmp_path / "a.toml"))
    assert shown.splitlines()[1:] == [
        "  1. default (all other calls): pass-through",
        "Process reward model: none",
        "Calibration: none",
    ]


def test_check_lists_every_problem_on_standard_error(bad: str) -> None:
    status, shown, errors = ran("check", bad)
    assert (status, shown) == (2, "")
    assert [line.split(" ")[0] for line in errors.splitlines()] == [f"{bad}:2:1:", f"{bad}:3:32:"]


def test_check_as_json_lists_every_problem_with_its_place(bad: str) -> None:
    status, shown, errors = ran("check", bad, "--json")
    found = json.loads(shown)
    assert (status, errors, found["valid"]) == (2, "", False)
    places = [(each["line"], each["column"], each["key"]) for each in found["problems"]]
    assert places == [(2, 1, "prn"), (3, 32, "policies.default.strategy")]
    assert "did you mean 'prm'" in found["problems"][0]["message"]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_missing_file_ends_with_status_2(as_json: list[str], tmp_path: Path) -> None:
    status, shown, errors = ran("check", str(tmp_path / "none.yaml"), *as_json)
    assert status == 2
    assert "not there" in shown + errors


def test_build_loads_the_parts(good: str) -> None:
    assert ran("check", good, "--build")[0] == 0


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ('prm: {kind: python, target: "tests.config.parts:Nothing"}', ":2:29: prm.target is"),
        ("prm: {kind: transformers, model: ./nowhere/at/all}", "no model folder"),
    ],
)
def test_build_reports_a_part_that_cannot_be_loaded(extra: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"version: 1\n{extra}\n")
    assert ran("check", str(tmp_path / "a.yaml"))[0] == 0
    status, _, errors = ran("check", str(tmp_path / "a.yaml"), "--build")
    assert status == 2
    assert words in errors
    status, shown, _ = ran("check", str(tmp_path / "a.yaml"), "--build", "--json")
    assert (status, json.loads(shown)["valid"]) == (2, False)


def test_schema_prints_the_json_schema() -> None:
    status, shown, _ = ran("schema")
    assert (status, json.loads(shown)) == (0, json_schema())
    jsonschema.Draft202012Validator.check_schema(json.loads(shown))


def test_what_other_strategies_add_is_shown_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\nprm: {kind: lab}\npolicies:\n"
        "  default: {strategy: beam, adapt: m}\n"
        "  a: {when: {tags: [a]}, strategy: prune, policy: {kind: fixed, n: 3}, keep: {kind: dominated}}\n"
    )
    _, shown, _ = ran("check", str(tmp_path / "a.yaml"))
    assert shown.splitlines()[1:3] == [
        (
            "  1. a (tags a): prune, fixed(n=3), at most 3 samples, select argmax, keep dominated(give_up=0.01), "
            "steps auto"
        ),
        (
            "  2. default (all other calls): beam, samples 16, fanout 4, adapt m, confidence 0.99, max_steps 40, "
            "every 1, steps auto"
        ),
    ]


def test_a_ladder_is_shown_rung_by_rung(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\nprm: {kind: lab}\npolicies:\n"
        "  default: {strategy: effort, rungs: [{name: low, at_least: 0.5}, {name: high, model: m}]}\n"
    )
    _, shown, _ = ran("check", str(tmp_path / "a.yaml"))
    assert "rungs low(at_least=0.5, parameters={}) / high(at_least=0.0, parameters={}, model=m)" in shown


def test_a_policy_in_shadow_is_shown_as_one(tmp_path: Path) -> None:
    text = (
        "version: 1\nmode: shadow\npolicies: {default: {strategy: best-of-n, policy: {kind: fixed, n: 3}}}\n"
    )
    (tmp_path / "dark.yaml").write_text(text)
    status, shown, _ = ran("check", str(tmp_path / "dark.yaml"))
    assert (status, "mode shadow" in shown) == (0, True)
    rule = json.loads(ran("check", str(tmp_path / "dark.yaml"), "--json")[1])["rules"][0]
    assert rule["mode"] == "shadow"
