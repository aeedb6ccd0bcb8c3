"""A session from prompts, or a recording, to a folder; and the parts that settings name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware import lab
from adaptive_middleware.atomic import replace_file
from adaptive_middleware.calibration import bundle
from adaptive_middleware.calibration.evaluate import evaluate
from adaptive_middleware.calibration.examples import read
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.collect import build
from adaptive_middleware.collect.cost import reckon
from adaptive_middleware.collect.files import weights_of
from adaptive_middleware.collect.journal import NAME, finished_units
from adaptive_middleware.collect.problem import Size
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.reading import read_settings
from adaptive_middleware.collect.session import Session, identity, run, run_recorded, size_of
from adaptive_middleware.collect.settings import Settings
from adaptive_middleware.errors import CalibrationError, ConfigError, SandboxError
from adaptive_middleware.recording import Problem, RecordedSample
from adaptive_middleware.types import Path, Request, StepScores
from adaptive_middleware.verify.sandbox.limits import Sandbox
from adaptive_middleware.verify.sandbox.unsafe import unsafe
from tests import tiny
from tests.collect.world import Hunch, prompts

GIVEN: dict[str, Any] = {
    "sampler": {"kind": "python", "target": "tests.collect.world:luck", "max_tokens": 3},
    "prm": {"kind": "python", "target": "tests.collect.world:hunch"},
    "answers": 3,
    "prefixes": 1,
    "rollouts": 4,
}


def settings(**changed: Any) -> Settings:
    return read_settings(None, {**GIVEN, **changed})


def session(out: File, told: list[str] | None = None, **changed: Any) -> Session:
    said: list[str] = [] if told is None else told
    return Session(settings(**changed), out, fit, resume=True, tell=said.append)


def test_a_folder_holds_bundle_examples_and_report_that_agree(tmp_path: File) -> None:
    told: list[str] = []
    steps: list[tuple[int, int, int]] = []
    own = replace(
        session(tmp_path, told),
        progress=lambda done, failed, total, _spent: steps.append((done, failed, total)),
    )
    result = run(own, prompts(30))
    assert told == []
    assert steps[-1] == (30, 0, 30)
    saved = bundle.load(tmp_path / "calibration.json", prm="hunch", generator="luck")
    held_out = read(tmp_path / "examples_held_out.jsonl.gz")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == result.report
    assert report["problems"] == {"prompts": 30, "finished": 30, "failed": 0, "fitted": 21, "held_out": 9}
    assert report["counts"]["answers"] == 90
    assert (
        report["held_out"]["all"]["brier_calibrated"]
        == evaluate(saved.calibration, held_out)["all"].brier_calibrated
    )
    units = finished_units(tmp_path).values()
    for name in ("prompt_tokens", "completion_tokens", "prm_tokens"):
        assert report["tokens"][name] == sum(unit.get(name, 0) for unit in units) > 0


def test_a_budget_fits_on_what_there_is_and_says_so(tmp_path: File) -> None:
    told: list[str] = []
    result = run(session(tmp_path, told, budget_tokens=2500), prompts(60))
    assert result.report["stopped"] == "budget"
    assert 0 < result.report["problems"]["finished"] < 60
    assert result.report["tokens"]["prompt_tokens"] + result.report["tokens"]["completion_tokens"] <= 2500
    assert any("go on with --resume and a larger --budget-tokens" in line for line in told)


def test_a_budget_that_is_too_small_keeps_the_data_and_says_why(tmp_path: File) -> None:
    with pytest.raises(CalibrationError, match=r"too few|no examples|no held-out problem"):
        run(session(tmp_path, budget_tokens=600), prompts(30))
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["calibration"] is None
    assert "Until there is a calibration" in report["why"]
    assert not (tmp_path / "calibration.json").exists()
    assert run(session(tmp_path), prompts(30)).report["problems"]["finished"] == 30


def test_failures_in_a_row_are_an_error_that_says_how_to_go_on(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = {"kind": "python", "target": "tests.collect.world:right"}
    monkeypatch.setenv("CHECK_FAILS", "1")
    with pytest.raises(
        CalibrationError, match=r"the check failed 10 times in a row.*out of order.*go on with --resume"
    ):
        run(session(tmp_path, check=check, concurrency=1), prompts(30))
    monkeypatch.delenv("CHECK_FAILS")
    told: list[str] = []
    assert run(session(tmp_path, told, check=check), prompts(30)).report["counts"]["unjudged"] == 0


def test_a_torn_journal_is_told(tmp_path: File) -> None:
    asked, problems = prompts(13), recorded(13, scores=False)
    runs: dict[str, Callable[[Session], object]] = {
        "drawn": lambda own: run(own, asked),
        "recorded": lambda own: run_recorded(own, problems),
    }
    for name, collected in runs.items():
        collected(session(tmp_path / name))
        journal = tmp_path / name / NAME
        journal.write_bytes(journal.read_bytes()[:-3])
        told: list[str] = []
        collected(session(tmp_path / name, told))
        assert any("the last line was torn" in line for line in told)


def test_a_problem_that_failed_is_told_with_its_cause(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, calls = Hunch.score, []

    def once(self: Hunch, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        calls.append(request.run_id)
        if len(calls) == 1:
            message = "out of memory"
            raise RuntimeError(message)
        return score(self, request, paths)

    monkeypatch.setattr(Hunch, "score", once)
    told: list[str] = []
    report = run(session(tmp_path, told, held_out=0.4), prompts(30)).report
    assert report["problems"]["failed"] == 1
    assert told == [
        f"problem {calls[0]!r} was not finished (process reward model: RuntimeError: out of memory); --resume tries it again"
    ]


def test_a_sampler_without_continuation_is_told_up_front(tmp_path: File) -> None:
    told: list[str] = []
    chat = {"kind": "python", "target": "llama_index.core.llms:MockLLM", "args": {"max_tokens": 2}}
    with pytest.raises(CalibrationError, match="no calibration is possible: all"):
        run(session(tmp_path, told, sampler=chat), prompts(13))
    assert "cannot continue a given text: only questions and finished answers are collected" in told[0]


def test_the_identity_names_what_the_data_depends_on_and_nothing_else() -> None:
    def differs(**changed: Any) -> set[str]:
        first, other = settings(), settings(**changed)
        one, two = (identity(each, prompts(3), "g", "p") for each in (first, other))
        return {key for key in {*one, *two} if one.get(key) != two.get(key)}

    assert differs(answers=9) == {"answers"}
    assert differs(sampler={**GIVEN["sampler"], "max_tokens": 4}) == {"sampler.max_tokens"}
    assert differs(system="Be brief.") == {"system"}
    assert differs(held_out=0.5, concurrency=1, budget_tokens=5, max_errors=3) == set()
    endpoint = {"kind": "openai", "base_url": "http://a/v1", "model": "m"}
    moved = {**endpoint, "base_url": "http://b/v1", "timeout": 5.0, "key_env": "K"}
    first, second = (identity(settings(sampler=each), prompts(3), "m", "p") for each in (endpoint, moved))
    assert first == second


def test_other_weights_in_the_same_folder_are_another_identity(tmp_path: File) -> None:
    folder = tiny.qwen_prm(tmp_path)
    before = weights_of(folder)
    assert before == weights_of(folder)
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert weights_of(folder) != before
    named = settings(prm={"kind": "transformers", "model": str(folder)})
    assert identity(named, prompts(3), "g", "p")["prm.weights"] == weights_of(folder)
    assert weights_of(tmp_path / "nothing") is None


def test_a_file_that_cannot_be_replaced_leaves_the_old_one(tmp_path: File) -> None:
    replace_file(tmp_path / "a", b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(OSError, match="b"):
        replace_file(tmp_path / "b", b"new")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


# recordings


def recorded(count: int, *, scores: bool = True, question: bool = True) -> list[Problem]:
    found = []
    for k in range(count):
        chance = (k % 9 + 1) / 10
        samples = tuple(
            RecordedSample(
                f"so\nThe answer is {int(j / 8 < chance)}.", correct=j / 8 < chance, tokens=4,
                scores=(0.5, 0.8 if j / 8 < chance else 0.3) if scores else None,
            )
            for j in range(8)
        )  # fmt: skip
        found.append(
            Problem(f"r{k}", f"chance {chance}", samples, question_score=chance if question else None)
        )
    return found


def test_recorded_outcomes_and_scores_are_taken_as_they_are(tmp_path: File) -> None:
    result = run_recorded(session(tmp_path, prm=None, prm_id="my/prm", generator="my/model"), recorded(30))
    rows = [*read(tmp_path / "examples_fit.jsonl.gz"), *read(tmp_path / "examples_held_out.jsonl.gz")]
    assert sum(row.kind == "finished" for row in rows) == 240
    for row in rows:
        if row.kind == "question":
            assert (row.rollouts, row.scores) == (8, ((int(row.group[1:]) % 9 + 1) / 10,))
            assert row.right == sum(j / 8 < row.scores[0] for j in range(8))
    assert (result.fitted.bundle.prm, result.fitted.bundle.generator) == ("my/prm", "my/model")
    assert not (tmp_path / NAME).exists()


def test_a_sample_without_scores_is_left_out_of_what_is_there(tmp_path: File) -> None:
    problems = recorded(30)
    bare = replace(problems[0].samples[0], scores=None)
    problems[0] = replace(problems[0], samples=(bare, *problems[0].samples[1:]))
    report = run_recorded(session(tmp_path, prm=None, prm_id="p"), problems).report
    assert report["counts"]["unscored"] == 1
    assert report["paths"]["fitted"] + report["paths"]["held_out"] == 30 * 9 - 1


def test_verified_pools_give_questions_alone(tmp_path: File) -> None:
    pools = [Problem(f"r{k}", n=100, n_correct=k, question_score=k / 100) for k in range(60)]
    result = run_recorded(session(tmp_path, prm=None, prm_id="p"), pools)
    assert set(result.report["held_out"]) == {"all", "question"}
    assert result.report["counts"]["answers"] == 6000


def test_missing_scores_are_computed_once_and_kept(tmp_path: File) -> None:
    problems = recorded(30, scores=False, question=False)
    first = run_recorded(session(tmp_path), problems)
    assert first.report["prm"] == "hunch"
    assert first.report["tokens"]["prm_tokens"] > 0
    lines = (tmp_path / NAME).read_bytes()
    assert run_recorded(session(tmp_path), problems).report == first.report
    assert (tmp_path / NAME).read_bytes() == lines


def test_missing_scores_without_a_scorer_are_told_and_left_out(tmp_path: File) -> None:
    told: list[str] = []
    result = run_recorded(session(tmp_path, told, prm=None, prm_id="p"), recorded(30, question=False))
    assert "30 of 30 problems lack some scores" in told[0]
    assert set(result.report["held_out"]) == {"all", "finished"}
    assert result.report["counts"]["unscored"] == 30


def test_recorded_scores_need_the_id_of_their_scorer(tmp_path: File) -> None:
    with pytest.raises(ConfigError, match="give its id with --prm-id"):
        run_recorded(session(tmp_path, prm=None), recorded(30))


def test_a_problem_without_question_cannot_be_scored(tmp_path: File) -> None:
    with pytest.raises(CalibrationError, match=r"problem 'r0' has neither all its scores nor a question"):
        run_recorded(session(tmp_path), [replace(p, question="") for p in recorded(30, scores=False)])


def test_a_scorer_that_fails_on_a_recording_says_how_to_go_on(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Hunch, _request: Request, _paths: list[Path]) -> list[Any]:
        message = "out of memory"
        raise RuntimeError(message)

    monkeypatch.setattr(Hunch, "score", broken)
    with pytest.raises(CalibrationError, match=r"problem 'r0' could not be scored .*out of memory.*--resume"):
        run_recorded(session(tmp_path), recorded(30, scores=False))


# parts


def test_the_lab_is_named_as_its_own_calibration_names_it() -> None:
    own = build.source(read_settings(None, {"sampler": {"kind": "lab"}}))
    shipped = bundle.load(lab.CALIBRATION)
    assert own.id == shipped.generator
    assert (own.continues, own.concurrent, own.together) == (True, False, 64)
    _, prm = build.scorer(read_settings(None, {"prm": {"kind": "lab"}}))
    assert prm == shipped.prm


def test_a_local_folder_is_a_source_that_continues(tmp_path: File) -> None:
    tiny.llama_chat(tmp_path)
    given = {"sampler": {"kind": "transformers", "model": str(tmp_path), "max_tokens": 5, "batch": 3}}
    own = build.source(read_settings(None, given))
    ((drawn,),) = own.continuer.extend(Request("2 + 2?"), ["2"], 1, seed=0)
    assert drawn.path.text.startswith("2")
    assert (own.id, own.max_tokens, own.together) == (tmp_path.name, 5, 3)


def test_an_endpoint_takes_its_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    given = {
        "kind": "openai",
        "base_url": "http://localhost:1/v1",
        "model": "m",
        "key_env": "MY_KEY",
        "prefill": True,
    }
    made = read_settings(None, {"sampler": given})
    own = build.source(made)
    assert (own.id, own.continues) == ("m", True)
    assert own.continuer.endpoint.key == "secret"  # type: ignore[attr-defined]
    assert build.continues(made) is True
    assert build.continues(read_settings(None, {"sampler": {**given, "prefill": False}})) is False
    assert build.continues(settings()) is None
    assert build.continues(read_settings(None, {"sampler": {"kind": "lab"}})) is True


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({}, "no sampler: say with --sampler"),
        ({"sampler": {"kind": "python", "target": "no.such:thing"}}, "cannot be imported"),
        ({"sampler": {"kind": "python", "target": "json:dumps"}}, "do not fit"),
    ],
)
def test_a_sampler_that_cannot_be_made_is_named(given: dict[str, Any], cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        build.source(read_settings(None, given))


def test_a_missing_scorer_is_named() -> None:
    with pytest.raises(ConfigError, match="no process reward model: say with --prm"):
        build.scorer(Settings())


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("no.such:thing", "cannot be imported"),
        ("json:nothing", "cannot be imported"),
        ("json:__name__", "a function"),
    ],
)
def test_a_check_that_cannot_be_made_is_named(target: str, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        build.verifier(settings(check={"kind": "python", "target": target}))


def test_every_kind_of_check_judges(tmp_path: File) -> None:
    del tmp_path
    prompt = Prompt("p", "?", {"answer": 1, "tests": "assert x == 1"})
    for check, right, wrong in (
        ({"kind": "exact"}, "The answer is 1.", "The answer is 2."),
        ({"kind": "unit-tests"}, "x = 1", "x = 2"),
        ({"kind": "python", "target": "tests.collect.world:right"}, "is 1", "is 2"),
    ):
        verifier = build.verifier(settings(check=check), allow_code=True)(prompt)
        verdicts = verifier.verify(Request("?"), [Path((right,)), Path((wrong,))])
        assert [verdict.passed for verdict in verdicts] == [True, False]


def no_sandbox(tier: str = "auto", *, no_sandbox: bool = False) -> Sandbox:
    if tier == "none" and no_sandbox:
        return unsafe()
    raise SandboxError("no sandbox works here")


def test_unit_tests_without_a_sandbox_need_an_explicit_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "sandbox", no_sandbox)
    own = settings(check={"kind": "unit-tests"})
    with pytest.raises(CalibrationError, match="--allow-code-execution"):
        build.checkable(own, [], allow_code=False)
    build.checkable(own, [Prompt("p", "?", {"tests": "assert x"})], allow_code=True)
    with pytest.raises(CalibrationError, match=r"1 of 2 prompts have no usable 'tests', 'q' for one"):
        build.checkable(own, [Prompt("p", "?", {"tests": "assert x"}), Prompt("q", "?")], allow_code=True)


@pytest.mark.parametrize("answer", [None, "", " ", True, [1]])
def test_prompts_without_an_answer_are_refused_before_anything_is_drawn(answer: object) -> None:
    with pytest.raises(CalibrationError, match=r"1 of 1 prompts have no usable 'answer', 'p' for one"):
        build.checkable(settings(), [Prompt("p", "?", {"answer": answer})], allow_code=False)
    build.checkable(settings(check={"kind": "python", "target": "a:b"}), [Prompt("p", "?")], allow_code=False)


# cost


def test_the_reckoned_cost_bounds_what_is_drawn(tmp_path: File) -> None:
    asked, own = prompts(20), settings()
    before = reckon(asked, size_of(own), 3, continues=True, units={})
    assert (before.finished, before.expected_tokens) == (0, None)
    report = run(session(tmp_path), asked).report
    counts = report["counts"]
    assert counts["answers"] + counts["rollouts"] <= before.generations
    assert report["tokens"]["completion_tokens"] <= before.completion_tokens
    after = reckon(asked, size_of(own), 3, continues=True, units=finished_units(tmp_path))
    assert (after.finished, after.calls, after.expected_tokens) == (20, 0, 0)


def test_what_is_journalled_tells_what_the_rest_will_cost(tmp_path: File) -> None:
    asked = prompts(26)
    report = run(session(tmp_path), asked[:13]).report
    own = reckon(asked, Size(3, 1, 4), 3, continues=True, units=finished_units(tmp_path))
    spent = report["tokens"]["prompt_tokens"] + report["tokens"]["completion_tokens"]
    assert (own.finished, own.expected_tokens) == (13, spent)


def test_without_continuation_there_are_no_prefixes_to_pay_for() -> None:
    own = reckon(prompts(10), Size(4, 2, 8), 100, continues=False, units={})
    assert (own.calls, own.generations, own.completion_tokens) == (20, 80, 8000)
