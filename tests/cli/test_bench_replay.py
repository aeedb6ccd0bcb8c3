import json
import os
import subprocess
import sys
from math import comb
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from adaptive_middleware.calibration.bundle import Bundle, save
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.cli import app
from adaptive_middleware.recording import Problem, RecordedSample, write_recording

SHARED = Path(os.environ.get("ADAPTIVE_SHARED", Path(__file__).parents[2].parent / "shared"))
CRUCIBLE = SHARED / "pools" / "crucible_math500_skywork.jsonl.gz"
FIELDS = ["policy", "accuracy", "accuracy_ci95", "samples", "generated_tokens", "prm_tokens", "repeats"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", "replay", *map(str, arguments)])


def result(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def rows(*arguments: object) -> dict[str, dict[str, Any]]:
    return {row["policy"]: row for row in result(*arguments)["rows"]}


def sample(answer: str, *, correct: bool, score: float | None = None, **fields: Any) -> RecordedSample:
    return RecordedSample(answer, correct=correct, tokens=10, answer=answer, prm_score=score, **fields)


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Two problems of four samples: the right answer scores highest once, and is the majority once."""
    first = (("a", 0.1), ("b", 0.9), ("a", 0.2), ("a", 0.3))
    second = (("b", 0.2), ("a", 0.8), ("b", 0.1), ("c", 0.1))
    file = tmp_path / "scored.jsonl"
    write_recording(
        file,
        [
            Problem(name, samples=tuple(sample(a, correct=a == "b", score=s) for a, s in drawn))
            for name, drawn in (("p", first), ("q", second))
        ],
    )
    return file


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    file = tmp_path / "pool.jsonl.gz"
    write_recording(file, [Problem(str(c), n=9, n_correct=c) for c in (0, 1, 3, 9)])
    return file


def test_json_has_exactly_the_promised_fields(scored: Path) -> None:
    found = result(scored, "--order", "recorded", "--policy", "agreement:confidence=0.9")
    assert list(found) == ["recording", "problems", "rows"]
    assert (found["recording"], found["problems"]) == (str(scored), 2)
    assert all(list(row) == FIELDS for row in found["rows"])
    assert [row["policy"] for row in found["rows"]] == [
        "fixed:n=1",
        "fixed:n=2",
        "fixed:n=4",
        "fixed:n=1,select=majority",
        "fixed:n=2,select=majority",
        "fixed:n=4,select=majority",
        "agreement:confidence=0.9",
    ]


def test_fixed_rows_are_what_counting_by_hand_gives(scored: Path) -> None:
    found = rows(scored, "--order", "recorded")
    accuracies = {name: row["accuracy"] for name, row in found.items()}
    assert accuracies == {
        "fixed:n=1": 0.5,
        "fixed:n=2": 0.5,
        "fixed:n=4": 0.5,
        "fixed:n=1,select=majority": 0.5,
        "fixed:n=2,select=majority": 0.5,
        "fixed:n=4,select=majority": 0.5,
    }
    four, vote = found["fixed:n=4"], found["fixed:n=4,select=majority"]
    assert (four["samples"], four["generated_tokens"], four["prm_tokens"], four["repeats"]) == (4, 40, 40, 1)
    assert (vote["generated_tokens"], vote["prm_tokens"]) == (40, 0)
    assert found["fixed:n=2"]["accuracy_ci95"] == [0.0, 1.0]


def test_each_selection_selects(scored: Path) -> None:
    for select, right in (
        ("argmax", {"p"}),
        ("majority", {"q"}),
        ("calibrated-vote", {"p"}),
        ("verified", {"p", "q"}),
    ):
        found = rows(scored, "--order", "recorded", "--policy", f"fixed:n=4,select={select}")
        assert found[f"fixed:n=4,select={select}"]["accuracy"] == len(right) / 2


def test_the_default_selection_can_be_changed_and_argmax_and_majority_stay(scored: Path) -> None:
    names = set(rows(scored, "--select", "calibrated-vote"))
    assert {"fixed:n=2", "fixed:n=2,select=argmax", "fixed:n=2,select=majority"} <= names


def test_the_table_says_how_each_row_selected(scored: Path) -> None:
    done = run(scored, "--policy", "agreement")
    assert done.exit_code == 0
    columns = [line.split() for line in done.stdout.splitlines()]
    assert ["fixed:n=4", "argmax"] in [line[:2] for line in columns]
    assert ["agreement", "majority"] in [line[:2] for line in columns]
    assert "\x1b" not in done.stdout


def test_too_few_problems_for_calibration_mean_raw_scores_and_a_note(scored: Path) -> None:
    assert "raw scores, taken at their word: cannot cross-fit" in run(scored).stderr


def test_what_was_asked_for_by_name_fails_rather_than_degrades(scored: Path) -> None:
    done = run(scored, "--calibration", "crossfit")
    assert done.exit_code == 1
    assert "error:" in done.stderr


def test_raw_scores_on_request(scored: Path) -> None:
    assert "note: 2 problems; raw scores, taken at their word\n" in run(scored, "--calibration", "raw").stderr


def test_a_bundle_calibrates(scored: Path, tmp_path: Path) -> None:
    examples = [
        Example((0.05 + 0.9 * ((i + j) % 7) / 7,), 1, done=True, logprobs=None, success=float((i + j) % 7 > 3), rollouts=1, group=str(i))
        for i in range(30)
        for j in range(4)
    ]  # fmt: skip
    bundle = tmp_path / "bundle.json"
    save(Bundle("prm-x", "generator-x", "0" * 64, fit(examples), {}), bundle)
    done = run(scored, "--calibration", bundle)
    assert "fitted for prm-x" in done.stderr
    assert done.exit_code == 0


def test_a_bundle_that_is_not_there_is_an_error(scored: Path) -> None:
    done = run(scored, "--calibration", "none.json")
    assert done.exit_code == 1
    assert "none.json" in done.stderr


def test_cross_fitting_is_the_default_where_there_are_enough_problems(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    write_recording(file, [crossfittable(str(i), right=i % 4) for i in range(10)])
    done = run(
        file, "--repeats", 1, "--policy", "instance-adaptive", "--policy", "optimal-stopping", "--json"
    )
    assert done.exit_code == 0
    assert "calibration cross-fitted" in done.stderr
    assert "the question's score, which is not recorded" in done.stderr
    found = {row["policy"]: row for row in json.loads(done.stdout)["rows"]}
    assert found["optimal-stopping"]["prm_tokens"] >= 10 * found["optimal-stopping"]["samples"]


def crossfittable(name: str, right: int) -> Problem:
    """Three samples, the first `right` of them right, with scores that say little; one question is unscored."""
    drawn = tuple(sample("b", correct=j < right, score=(0.3, 0.6, 0.5)[(j + right) % 3]) for j in range(3))
    scored = None if name == "0" else (0.2, 0.5, 0.4, 0.99999)[right]
    return Problem(name, samples=drawn, question_score=scored)


def test_verified_pools_reach_what_drawing_without_replacement_gives(pool: Path) -> None:
    found = rows(pool, "--repeats", 60)
    assert [name for name in found if "select" in name] == []
    for n in (1, 2, 4, 8):
        expected = sum(1 - comb(9 - c, n) / comb(9, n) for c in (0, 1, 3, 9)) / 4
        row = found[f"fixed:n={n}"]
        assert row["accuracy"] == pytest.approx(expected, abs=4.5 * 0.5 * 2**0.5 / 4 / 60**0.5)
        assert (row["samples"], row["generated_tokens"], row["repeats"]) == (n, 0, 60)


def test_verified_pools_stop_at_the_first_pass_and_give_up_on_the_hopeless(pool: Path) -> None:
    found = rows(pool, "--policy", "optimal-stopping:give_up=0.2,max=9", "--repeats", 5)
    row = found["optimal-stopping:give_up=0.2,max=9"]
    assert row["accuracy"] >= 0.3
    assert row["samples"] < 5


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others(pool: Path) -> None:
    first, second, other = (result(pool, "--seed", seed) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_seeds_are_replayed_apart_and_averaged(tmp_path: Path) -> None:
    file = tmp_path / "seeds.jsonl"
    drawn = ((0, "b"), (1, "a"), (0, "a"), (1, "a"), (2, "b"), (2, "a"))
    write_recording(
        file, [Problem("p", samples=tuple(sample(a, correct=a == "b", seed=s) for s, a in drawn))]
    )
    found = rows(file, "--order", "recorded", "--by", "seed")
    assert list(found) == ["fixed:n=1", "fixed:n=2"]
    assert found["fixed:n=1"]["accuracy"] == pytest.approx(2 / 3)
    assert found["fixed:n=1"]["repeats"] == 3


def test_a_policy_that_asks_beyond_the_recording_is_noted(scored: Path) -> None:
    done = run(scored, "--policy", "fixed:n=9", "--order", "recorded")
    assert "note: fixed:n=9: 100% of calls asked for more samples than recorded" in done.stderr


def test_unequal_problems_and_counted_words_are_noted(tmp_path: Path) -> None:
    file = tmp_path / "third-party.jsonl"
    lone = {"text": "one two 3", "correct": True}
    file.write_text("\n".join(json.dumps({"id": i, "samples": [lone] * (i + 2)}) for i in range(2)))
    done = run(file, "--json")
    assert "words are counted instead" in done.stderr
    assert "fixed rows go as far as the fewest (2)" in done.stderr
    found = {row["policy"]: row for row in json.loads(done.stdout)["rows"]}
    assert list(found) == ["fixed:n=1", "fixed:n=2"]
    assert found["fixed:n=1"]["generated_tokens"] == 3


@pytest.mark.parametrize(("answers", "accuracy"), [("as-written", 0.0), ("canonical", 1.0)])
def test_answers_agree_as_spelled_or_as_meant(tmp_path: Path, answers: str, accuracy: float) -> None:
    file = tmp_path / "spelling.jsonl"
    texts = (("so 7", False), ("so 0.5", True), ("so 1/2", True))
    write_recording(
        file, [Problem("p", samples=tuple(RecordedSample(t, correct=c, tokens=2) for t, c in texts))]
    )
    found = rows(file, "--order", "recorded", "--answers", answers, "--policy", "fixed:n=3")
    assert found["fixed:n=3"]["accuracy"] == accuracy


def test_early_stopping_draws_windows_and_votes(scored: Path) -> None:
    """In order, problem p answers a b a a and q answers b a b c: no window of two agrees before p's second."""
    name = "early-stopping:window=2"
    done = run(scored, "--order", "recorded", "--policy", name)
    assert [line.split()[1] for line in done.stdout.splitlines() if line.split()[0] == name] == ["majority"]
    row = rows(scored, "--order", "recorded", "--policy", name)[name]
    assert (row["samples"], row["prm_tokens"], row["accuracy"]) == (4, 0, 0.5)
    assert rows(scored, "--order", "recorded", "--policy", f"{name},select=argmax")


def test_impatience_pays_only_for_the_steps_that_are_read(tmp_path: Path) -> None:
    good = {"text": "a\nb", "tokens": 10, "correct": True, "scores": [0.9, 0.9]}
    bad = {"text": "c\nd", "tokens": 10, "correct": False, "scores": [0.001, 0.001]}
    lines = [{"id": str(i), "samples": [good, bad, bad, bad], "question_score": 0.5} for i in range(3)]
    file = tmp_path / "open.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    stopping = "optimal-stopping:target=0.99,give_up=0.001,sharpness=2,per_tokens=10,max=4"
    found = rows(
        file,
        "--calibration",
        "raw",
        "--policy",
        stopping,
        "--policy",
        f"{stopping},impatience=3",
        "--repeats",
        5,
    )
    whole, read = found[stopping], found[f"{stopping},impatience=3"]
    assert read["accuracy"] == whole["accuracy"] == 1.0
    assert read["samples"] == whole["samples"] == 4.0
    assert read["generated_tokens"] == 10 + 3 * 7  # two of the three characters, rounded
    assert whole["generated_tokens"] == 40.0


def test_weighted_agreement_selects_by_the_weighted_vote(scored: Path) -> None:
    name = "weighted-agreement:give_up=0.01,max=4"
    done = run(scored, "--policy", name)
    assert done.exit_code == 0
    assert "calibrated-vote" in done.stdout


def test_early_stopping_needs_answers_to_vote_on(pool: Path) -> None:
    done = run(pool, "--policy", "early-stopping")
    assert done.exit_code == 2
    assert "selection 'majority' needs what this recording lacks" in " ".join(
        done.stderr.replace("│", " ").split()
    )


def test_score_distribution_stops_by_the_scores(scored: Path) -> None:
    """By raw scores, the second sample of p (0.9) and of q (0.8) makes a higher one likely; a target of .1 is passed at once."""
    easy, hard = "score-distribution:target=0.1,first=1,method=map", "score-distribution:target=0.99,first=2"
    found = rows(scored, "--calibration", "raw", "--order", "recorded", "--policy", easy, "--policy", hard)
    assert found[easy]["samples"] == 1
    assert found[hard]["samples"] == 4
    assert found[hard]["prm_tokens"] == 40


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ("optimal-stoping", "unknown policy 'optimal-stoping'; did you mean 'optimal-stopping'? valid: fixed, instance-adaptive, agreement, early-stopping, score-distribution, weighted-agreement, optimal-stopping"),
        ("beam", "unknown policy 'beam'; valid: fixed"),
        ("fixed:k=2", "unknown field of fixed 'k'; valid: n, max, select"),
        ("agreement:confidense=0.9", "did you mean 'confidence'?"),
        ("agreement:confidence=1", "confidence='1' must be strictly between 0 and 1"),
        ("agreement:confidence=nan", "must be strictly between 0 and 1"),
        ("agreement:confidence=", "must be strictly between 0 and 1"),
        ("agreement:window=0", "window='0' must be a whole number of at least 1"),
        ("fixed:n=2.5", "n='2.5' must be a whole number"),
        ("fixed:max=x", "max='x' must be a whole number"),
        ("optimal-stopping:give_up=-1", "give_up='-1' must be from 0 to 1"),
        ("optimal-stopping:give_up=a", "give_up='a' must be from 0 to 1"),
        ("optimal-stopping:prices=1", "unknown field of optimal-stopping 'prices'; valid: target, give_up, window, sharpness, per_tokens, max, impatience, select"),
        ("optimal-stopping:impatience=2", "needs a price of tokens; add per_tokens="),
        ("agreement:impatience=2", "unknown field of agreement 'impatience'"),
        ("early-stoping", "did you mean 'early-stopping'?"),
        ("early-stopping:confidence=0.9", "unknown field of early-stopping 'confidence'; valid: window, max, select"),
        ("early-stopping:window=1.5", "window='1.5' must be a whole number of at least 1"),
        ("score-distribution:first=0", "first='0' must be a whole number of at least 1"),
        ("score-distribution:target=1", "target='1' must be strictly between 0 and 1"),
        ("score-distribution:method=bayes", "unknown method 'bayes'; valid: mle, map"),
        ("score-distribution:prior_mu=0.5", "prior_mu is given, but method 'mle' has no prior; remove it, or add method=map"),
        ("score-distribution:prior_mu=2", "prior_mu='2' must be from 0 to 1"),
        ("score-distribution:prior_sigma=0", "prior_sigma='0' must be from 0.01 to 10"),
        ("score-distribution:prior_spread=0", "prior_spread='0' must be above 0 and at most 10"),
        ("fixed:select=best", "unknown selection 'best'; valid: argmax, calibrated-vote, majority, verified"),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_is_named_with_what_would_be_valid(
    scored: Path, policy: str, complaint: str
) -> None:
    done = run(scored, "--policy", policy)
    assert done.exit_code == 2
    assert complaint in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--order", "recorded"], "has no order; use --order shuffled"),
        (["--by", "seed"], "has no seeds"),
        (
            ["--select", "majority"],
            "selection 'majority' needs what this recording lacks; possible: verified",
        ),
        (["--policy", "fixed:select=argmax"], "selection 'argmax' needs what this recording lacks"),
    ],
)
def test_options_that_a_pool_of_counts_cannot_serve_are_refused(
    pool: Path, arguments: list[str], complaint: str
) -> None:
    done = run(pool, *arguments)
    assert done.exit_code == 2
    assert complaint in " ".join(done.stderr.replace("│", " ").split())


def test_seeds_are_needed_to_go_by_them(scored: Path) -> None:
    done = run(scored, "--by", "seed")
    assert done.exit_code == 2
    assert "not every sample has a 'seed'" in done.stderr


def test_a_recording_that_cannot_be_read_is_one_line_of_error(tmp_path: Path) -> None:
    done = run(tmp_path / "none.jsonl")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "no such file" in done.stderr


def test_help_loads_no_heavy_module() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from adaptive_middleware.cli import app; "
        "assert CliRunner().invoke(app, ['bench', 'replay', '--help']).exit_code == 0; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(
    not CRUCIBLE.exists(), reason=f"{CRUCIBLE} is absent: the published curve cannot be compared"
)
def test_the_published_curve_of_a_real_process_reward_model_is_reproduced_exactly() -> None:
    found = rows(CRUCIBLE, "--order", "recorded", "--by", "seed", "--calibration", "raw")
    percent = {name: round(100 * row["accuracy"], 1) for name, row in found.items()}
    assert [percent[f"fixed:n={n}"] for n in (1, 2, 4, 8)] == [38.3, 45.0, 53.3, 55.0]
    assert [percent[f"fixed:n={n},select=majority"] for n in (1, 2, 4, 8)] == [38.3, 38.3, 45.0, 52.5]
    tokens = {name: row["generated_tokens"] for name, row in found.items()}
    assert [round(tokens[f"fixed:n={n}"]) for n in (1, 2, 4, 8)] == [503, 985, 1990, 4015]
