"""`adaptive-middleware finetune` as a user runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from adaptive_middleware import cli
from adaptive_middleware.finetuning import recipes
from adaptive_middleware.scoring.quantiles_folder import open_folder
from adaptive_middleware.scoring.quantiles_local import load_quantile_scorer
from tests.finetuning.conftest import QUICK
from tests.finetuning.world import labelled, written


@pytest.fixture
def options(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(recipes, "RECIPES", QUICK)
    examples, questions = written(tmp_path, labelled(20), "a")
    apart, others = written(tmp_path, labelled(10, seed=5), "b")
    settings = {
        "questions": questions,
        "model": base,
        "out": tmp_path / "out",
        "generator": "tiny/lm",
        "held-out": apart,
    }
    return [
        str(examples),
        "--questions",
        str(others),
        *(part for k, v in settings.items() for part in (f"--{k}", str(v))),
    ]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["finetune", *arguments])


def test_it_writes_a_folder_and_says_how_good_it_is(options: list[str], tmp_path: Path, base: Path) -> None:
    result = run(*options)
    assert result.exit_code == 0, result.output
    assert "monotone for tiny/prm@1, learned from 20 problems in" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == [
        "all",
        "question",
        "partial",
        "finished",
    ]
    assert "all problems: epoch 1/1: loss " in result.stderr
    manifest = open_folder(tmp_path / "out", prm="tiny/prm@1", generator="tiny/lm")
    assert manifest.metrics["all.paths"] == 40
    assert manifest.recipe["name"] == "monotone"
    assert load_quantile_scorer(tmp_path / "out", base).id.startswith("tiny/prm@1+")


def test_json_is_one_object(options: list[str]) -> None:
    result = run(*options, "--json", "--recipe", "park-2025")
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["recipe"] == "park-2025"
    assert found["held_out"]["all"]["paths"] == 40
    assert 0 <= found["held_out"]["all"]["crossing"] <= 1


def test_without_held_out_paths_nothing_is_claimed(options: list[str]) -> None:
    cut = options.index("--held-out")
    result = run(*options[:cut], *options[cut + 2 :], "--recipe", "park-2025")
    assert "Not measured: give paths of other problems with --held-out." in result.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--recipe", "best"], "unknown recipe 'best': choose one of park-2025, monotone"),
        (["--out", "."], "exists already: give another folder"),
        (["--model", "nowhere/at/all"], "no model folder"),
    ],
)
def test_what_cannot_work_is_refused_before_the_training(
    options: list[str], change: list[str], said: str
) -> None:
    result = run(*options, *change)
    assert result.exit_code == 1
    assert said in str(result.exception)
    assert "epoch" not in result.stderr


def test_problems_on_both_sides_are_refused(options: list[str], tmp_path: Path) -> None:
    result = run(*options, "--held-out", str(tmp_path / "a.jsonl.gz"))
    assert "20 problems are both trained on and held out, 'p0-0' for one" in str(result.exception)
    assert not (tmp_path / "out").exists()
