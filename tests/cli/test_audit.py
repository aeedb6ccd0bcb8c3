import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from adaptive_middleware.calibration.bundle import load
from adaptive_middleware.cli import app
from adaptive_middleware.recording import Problem, RecordedSample, read_recording, write_recording
from tests.audit.conftest import bundle as bundle  # noqa: PLC0414 - the same fixture
from tests.audit.test_store import line, reported, written
from tests.audit.world import recording, surer

PROMISED = ["n", "ece", "ece_ci95", "coverage_lower10", "holds", "better_policy"]
HELD_OUT = Path(__file__).parents[2] / "bench" / "lab" / "data" / "heldout.jsonl.gz"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments), "--repeats", "1"])


def result(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def unwrapped(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    return recording(tmp_path / "traffic.jsonl", 50)


def test_json_is_one_object_with_the_promised_fields_first(traffic: Path, bundle: Path) -> None:
    found = result(traffic, "--calibration", bundle)
    assert list(found)[:6] == PROMISED
    assert (found["n"], found["kind"], found["holds"]) == (200, "recording", True)
    assert found["ece_ci95"][0] <= found["ece"] <= found["ece_ci95"][1]
    assert 0.7 < found["coverage_lower10"] <= 1
    assert found["written"] is None
    assert found["policy"]["name"] == "optimal-stopping:max=4"


def test_the_shipped_calibration_holds_on_its_held_out_recording(tmp_path: Path) -> None:
    some = tmp_path / "some.jsonl.gz"
    kept = [
        Problem(p.id, p.question, p.samples[:4], question_score=p.question_score)
        for p in read_recording(HELD_OUT)[::2]
    ]
    write_recording(some, kept)
    found = result(some, "--calibration", "lab")
    assert found["holds"]
    assert found["better_policy"] is None
    assert found["ece"] < 0.05
    assert found["coverage_lower10"] == pytest.approx(0.9, abs=0.04)
    assert found["question"]["n"] == found["problems"] == len(kept)
    assert found["prm"]["auroc"] > 0.9


def test_raw_scores_are_audited_at_their_word(tmp_path: Path) -> None:
    file = recording(tmp_path / "r.jsonl", score=surer)
    found = result(file, "--calibration", "raw")
    assert (found["holds"], found["coverage_lower10"]) == (False, None)
    assert found["bias"] > 0.1


def test_the_page_says_the_verdict_first(tmp_path: Path, traffic: Path, bundle: Path) -> None:
    page = run(traffic, "--calibration", bundle).stdout
    assert "fitted for prm-x judging model-y" in page
    assert page.index("The calibration holds") < page.index("calibration error (ECE)")
    assert "No policy is better for certain" in page
    assert "\x1b" not in page
    shifted = run(recording(tmp_path / "s.jsonl", score=surer), "--calibration", bundle).stdout
    assert "The calibration does not hold.\n  - test: outcomes do not fit" in shifted
    assert "(recalibrated)" in shifted
    assert max(map(len, shifted.splitlines())) <= 110


def test_the_page_names_the_policy_that_would_be_better(tmp_path: Path, bundle: Path) -> None:
    file = recording(tmp_path / "r.jsonl", 80, 8, score=lambda s: 1 - s, agree=0.0)
    page = run(file, "--calibration", bundle).stdout
    assert "The process reward model does worse than voting on this traffic." in page
    assert "Better on this traffic: " in page
    assert "policies:\n  default:\n    strategy: best-of-n\n    policy: {kind: " in page
    assert result(file, "--calibration", bundle)["better_policy"] in page


def test_an_error_that_may_be_chance_is_said_to_be_so(tmp_path: Path, bundle: Path) -> None:
    calls = [line(p=0.8, correct=i % 4 > 0, id=i) for i in range(100)]
    page = run(written(tmp_path / "s.jsonl", *calls), "--calibration", bundle).stdout
    assert "The calibration holds as far as can be told: an error of 0.050 may be chance" in page


def test_too_few_problems_are_said_on_the_page(tmp_path: Path, bundle: Path) -> None:
    page = run(recording(tmp_path / "r.jsonl", 6), "--calibration", bundle).stdout
    assert "Too few to tell." in page
    assert "note: 6 problems are too few to recommend a policy" in page


def test_without_scores_the_page_says_that_nothing_is_judged(tmp_path: Path, bundle: Path) -> None:
    file = tmp_path / "r.jsonl"
    lone = RecordedSample("7", True, 1, answer="7")
    write_recording(file, [Problem(str(i), "q", (lone,)) for i in range(3)])
    done = run(file, "--calibration", bundle)
    assert done.exit_code == 0
    assert "(no scored answers)" in done.stdout
    assert "Nothing to judge the calibration by." in done.stdout
    assert result(file, "--calibration", bundle)["holds"] is True


def test_a_store_of_reports_is_audited(tmp_path: Path, bundle: Path) -> None:
    store = reported(tmp_path / "store.jsonl", bundle, recording(tmp_path / "r.jsonl", 150, 2))
    found = result(store, "--calibration", bundle)
    assert list(found)[:6] == PROMISED
    assert (found["kind"], found["n"], found["holds"], found["policy"]) == ("store", 150, True, None)
    page = run(store, "--calibration", bundle).stdout
    assert "store.jsonl (150 calls, 150 problems)" in page
    assert "p-value of no drift" in page
    assert "no bundle: probabilities as they were reported" in run(store, "--calibration", "raw").stdout


def test_a_torn_store_is_audited_with_a_note(tmp_path: Path, bundle: Path) -> None:
    store = written(tmp_path / "s.jsonl", *(line() for _ in range(12)))
    store.write_text(store.read_text() + '{"strategy": "best')
    assert "note: 1 line left out: the last one was cut" in run(store, "--calibration", bundle).stdout


def test_the_new_bundle_is_written_whole_and_holds(tmp_path: Path, bundle: Path) -> None:
    file, new = recording(tmp_path / "r.jsonl", score=surer), tmp_path / "new.json"
    found = result(file, "--calibration", bundle, "--write", new)
    assert (found["holds"], found["written"]) == (False, str(new))
    made = load(new, prm="prm-x", generator="model-y")
    assert made.metrics["crossfit.finished.ece_calibrated"] == found["after_recalibration"]["ece"]
    again = result(file, "--calibration", new)
    assert again["holds"]
    assert again["notes"][0].startswith("this bundle was fitted to this very recording")
    assert f"Written: {new}" in unwrapped(
        run(file, "--calibration", bundle, "--write", new, "--force").stdout
    )
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".json"] == ["new.json"]


def test_an_existing_file_is_replaced_only_by_force(traffic: Path, tmp_path: Path, bundle: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("mine")
    done = run(traffic, "--calibration", bundle, "--write", old)
    assert done.exit_code == 1
    assert f"{old} exists already: choose another name, or replace the file with --force" in done.stderr
    assert (done.stdout, old.read_text()) == ("", "mine")


def test_what_cannot_be_fitted_is_audited_but_not_written(tmp_path: Path, bundle: Path) -> None:
    file, new = recording(tmp_path / "r.jsonl", 6), tmp_path / "new.json"
    done = run(file, "--calibration", bundle, "--write", new, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["written"] is None
    assert f"error: {new} is not written: 6 problems with scores are too few" in done.stderr
    assert not new.exists()


def test_a_policy_of_ones_own_is_compared(traffic: Path, bundle: Path) -> None:
    found = result(traffic, "--calibration", bundle, "--policy", "agreement:confidence=0.9,max=2")
    assert found["policy"]["name"] == "agreement:confidence=0.9,max=2"
    assert found["policy"]["prm_tokens"] == 0
    assert found["policy"]["samples"] <= 2


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ("optimal", "unknown policy 'optimal'"),
        (
            "fixed:n=2,select=verified",
            "select=verified is not audited; possible: argmax, calibrated-vote, majority",
        ),
        ("fixed:n=9", "9 samples are more than every problem has (4); say max=4 or less"),
    ],
)
def test_a_policy_that_cannot_be_audited_is_refused(
    traffic: Path, bundle: Path, policy: str, complaint: str
) -> None:
    done = run(traffic, "--calibration", bundle, "--policy", policy)
    assert done.exit_code == 2
    assert complaint in unwrapped(done.stderr)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--calibration", "none.json"], "none.json: no such calibration bundle"),
        (["--calibration", "lab", "--prm", "other"], "but 'other' is in use"),
        (["--calibration", "lab", "--generator", "other"], "but 'other' is in use"),
        (["--calibration", "raw", "--write", "x.json"], "--calibration raw is no bundle"),
        (["--calibration", "lab", "--write", "no/such/folder.json"], "there is no folder 'no/such'"),
        (["--calibration", "lab", "--write", ".", "--force"], ". exists already"),
    ],
)
def test_options_that_do_not_fit_are_one_line_of_error(
    traffic: Path, options: list[str], complaint: str
) -> None:
    done = run(traffic, *options)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr


@pytest.mark.parametrize("option", [["--write", "x.json"], ["--policy", "fixed:n=2"]])
def test_what_needs_all_samples_is_refused_for_a_store(
    tmp_path: Path, bundle: Path, option: list[str]
) -> None:
    done = run(written(tmp_path / "s.jsonl", line()), "--calibration", bundle, *option)
    assert done.exit_code == 1
    assert "--write and --policy need a recording of all samples" in done.stderr


def test_files_of_another_kind_are_one_line_of_error(tmp_path: Path) -> None:
    for content in ("text", '{"a": 1}', '{"id": 1, "n": 4, "n_correct": 2}'):
        file = tmp_path / "x.jsonl"
        file.write_text(content)
        done = run(file, "--calibration", "lab")
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_estimates_of_the_question_alone_are_on_the_page(tmp_path: Path, traffic: Path, bundle: Path) -> None:
    asked = tmp_path / "asked.jsonl"
    problems = read_recording(traffic)
    write_recording(asked, [Problem(p.id, p.question, p.samples, question_score=0.5) for p in problems])
    page = unwrapped(run(asked, "--calibration", bundle).stdout)
    assert "Question alone: calibration error 0." in page
    assert "50 questions (not part of the verdict)" in page


def test_the_same_seed_gives_the_same_audit(traffic: Path, bundle: Path) -> None:
    assert result(traffic, "--calibration", bundle) == result(traffic, "--calibration", bundle)


def test_on_a_terminal_what_is_done_is_shown_on_standard_error(
    traffic: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = run(traffic, "--calibration", bundle)
    assert done.exit_code == 0
    assert "\x1b[" in done.stdout
    assert "The calibration holds" in done.stdout


def test_help_loads_no_heavy_module() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from adaptive_middleware.cli import app; "
        "assert CliRunner().invoke(app, ['audit', '--help']).exit_code == 0; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
