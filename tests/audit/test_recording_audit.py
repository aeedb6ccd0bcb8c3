import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from adaptive_middleware import config
from adaptive_middleware.audit.better import better, compared, difference
from adaptive_middleware.audit.contest import Contender, Played, default, largest, rivals, stage
from adaptive_middleware.audit.lower import lower_coverage
from adaptive_middleware.audit.recalibrate import new_bundle, recalibrated, refitted
from adaptive_middleware.audit.recording_audit import Settings, audit_recording
from adaptive_middleware.audit.result import config as recommended
from adaptive_middleware.audit.result import plain
from adaptive_middleware.audit.traffic import Traffic, estimates_of, read_traffic
from adaptive_middleware.calibration.bundle import Bundle, load, save
from adaptive_middleware.calibration.coverage import coverage_lower
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.cli.policy_spec import parse
from adaptive_middleware.cli.replay_rows import Bench, Ordering, orders, reel
from adaptive_middleware.errors import CalibrationError, RecordingError
from adaptive_middleware.policy import fixed
from adaptive_middleware.recording import Problem, RecordedSample, read_recording, write_recording
from adaptive_middleware.replay import tape
from tests.audit.world import recording, surer

QUICK = Settings(repeats=1)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return read_traffic(recording(tmp_path_factory.mktemp("traffic") / "r.jsonl"))


def of(file: Path, problems: list[Problem]) -> Traffic:
    write_recording(file, problems)
    return read_traffic(file)


def same(answer: str, *, correct: bool, score: float | None, n: int = 8) -> tuple[RecordedSample, ...]:
    return tuple(
        RecordedSample(f"{answer} {i}", correct, 10, answer=answer, prm_score=score) for i in range(n)
    )


def test_a_calibration_of_the_same_traffic_holds(traffic: Traffic, bundle: Path) -> None:
    found = audit_recording(traffic, load(bundle).calibration, QUICK)
    assert (found.n, found.verdict.holds, found.verdict.need) == (320, True, None)
    assert found.findings is not None
    assert found.findings.coverage is not None
    assert found.findings.coverage.low <= 0.9 <= found.findings.coverage.high
    assert found.findings.drift is None


def test_a_reward_model_that_became_surer_does_not_hold_and_recalibration_mends_it(
    tmp_path: Path, bundle: Path
) -> None:
    traffic = read_traffic(recording(tmp_path / "r.jsonl", score=surer))
    found = audit_recording(traffic, load(bundle).calibration, QUICK)
    assert {reason.split(":")[0] for reason in found.verdict.reasons} >= {"test", "error"}
    assert found.findings is not None
    assert found.after is not None
    assert found.after.ece < found.findings.error.value / 2
    assert found.after.brier < found.findings.brier
    assert found.after.coverage_lower10 == pytest.approx(0.9, abs=0.05)


def test_coverage_is_what_calibration_coverage_measures(traffic: Traffic, bundle: Path) -> None:
    calibration = load(bundle).calibration
    examples = [one.example for one in traffic.answers]
    found = lower_coverage(estimates_of(traffic.answers, calibration), examples)
    expected = coverage_lower(calibration, examples)
    assert found is not None
    assert found.share == pytest.approx(expected.share, abs=1e-12)
    assert (found.high - found.low) / 2 == pytest.approx(1.99 * expected.error, rel=1e-3)
    assert lower_coverage(estimates_of(traffic.answers, uncalibrated), examples) is None


def test_recalibration_never_sees_the_problem_it_judges(traffic: Traffic) -> None:
    fitted = refitted(traffic)
    assert set(fitted) == {one.example.group for one in traffic.answers}
    figures = recalibrated(traffic, fitted)
    on_itself = new_bundle(traffic, Bundle("p", "g", "0" * 64, next(iter(fitted.values())), {}), figures)
    assert on_itself.metrics["crossfit.finished.ece_calibrated"] == figures.ece
    assert on_itself.metrics["fit.problems"] == 80
    assert (on_itself.prm, on_itself.generator) == ("p", "g")


def test_a_new_bundle_holds_on_its_own_traffic(tmp_path: Path, bundle: Path) -> None:
    traffic = read_traffic(recording(tmp_path / "r.jsonl", score=surer))
    made = new_bundle(traffic, load(bundle), recalibrated(traffic, refitted(traffic)))
    save(made, tmp_path / "new.json")
    again = load(tmp_path / "new.json", prm="prm-x", generator="model-y")
    assert audit_recording(traffic, again.calibration, QUICK).verdict.holds


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_is_judged_but_not_fitted(tmp_path: Path, bundle: Path, right: bool) -> None:
    problems = [Problem(str(i), "q", same("a", correct=right, score=0.9)) for i in range(12)]
    found = audit_recording(of(tmp_path / "r.jsonl", problems), load(bundle).calibration, QUICK)
    assert found.after is None
    assert f"all 96 scored answers are {'right' if right else 'wrong'}" in found.notes[0]
    assert found.signal is not None
    assert (found.signal.overall, found.signal.within) == (None, None)
    assert not found.verdict.holds


def test_too_few_problems_hold_with_a_number_that_would_tell(tmp_path: Path, bundle: Path) -> None:
    traffic = read_traffic(recording(tmp_path / "r.jsonl", problems=6, score=surer))
    found = audit_recording(traffic, load(bundle).calibration, QUICK)
    assert found.verdict.holds
    assert found.verdict.need is not None
    assert found.verdict.need >= 10
    assert "6 problems with scores are too few to fit" in found.notes[0]
    assert found.notes[1] == "6 problems are too few to recommend a policy: at least 10 are needed"
    assert found.policies is not None
    assert found.policies.better is None


def test_without_scores_votes_are_still_compared(tmp_path: Path, bundle: Path) -> None:
    problems = read_recording(recording(tmp_path / "r.jsonl"))
    bare = [
        Problem(
            p.id,
            p.question,
            tuple(RecordedSample(s.text, s.correct, s.tokens, answer=s.answer) for s in p.samples),
        )
        for p in problems
    ]
    found = audit_recording(of(tmp_path / "bare.jsonl", bare), load(bundle).calibration, QUICK)
    assert (found.n, found.findings, found.signal, found.after) == (0, None, None, None)
    assert found.verdict.holds
    assert found.notes[0].startswith("no scores are recorded")
    assert found.policies is not None
    assert {one.rival.select for one in found.policies.rivals} == {"majority"}
    values = plain(found)
    assert (values["n"], values["ece"], values["coverage_lower10"], values["holds"]) == (0, None, None, True)


def test_unscored_samples_and_counts_are_left_out_and_said(tmp_path: Path) -> None:
    half = Problem(
        "a", "q", same("x", correct=True, score=0.5, n=2) + same("x", correct=True, score=None, n=1)
    )
    traffic = of(tmp_path / "r.jsonl", [half, Problem("b", n=5, n_correct=2)])
    assert [len(one.paths) for one in traffic.tapes] == [3]
    assert len(traffic.answers) == 2
    assert traffic.notes == (
        "1 problems with counts only (n, n_correct) left out",
        "1 samples have no scores: they vote, but have no probability to audit",
    )
    with pytest.raises(RecordingError, match="only counts"):
        of(tmp_path / "c.jsonl", [Problem("b", n=5, n_correct=2)])


def test_problems_with_a_time_come_in_its_order_and_are_searched_for_drift(
    tmp_path: Path, bundle: Path
) -> None:
    problems = read_recording(recording(tmp_path / "r.jsonl"))
    timed = [Problem(p.id, p.question, p.samples, extra={"time": -i}) for i, p in enumerate(problems)]
    traffic = of(tmp_path / "t.jsonl", timed)
    assert traffic.timed
    assert [one.request.run_id for one in traffic.tapes] == [p.id for p in reversed(problems)]
    found = audit_recording(traffic, load(bundle).calibration, QUICK).findings
    assert found is not None
    assert found.drift is not None
    with pytest.raises(RecordingError, match=r"problem '1': 'time' is 'noon'"):
        of(tmp_path / "n.jsonl", [Problem("1", "q", problems[0].samples, extra={"time": "noon"})])


def test_questions_are_measured_beside_the_verdict(tmp_path: Path, bundle: Path) -> None:
    problems = read_recording(recording(tmp_path / "r.jsonl"))
    asked = [Problem(p.id, p.question, p.samples, question_score=0.99) for p in problems]
    found = audit_recording(of(tmp_path / "q.jsonl", asked), load(bundle).calibration, QUICK)
    assert found.questions is not None
    assert found.questions.n == 80
    assert found.questions.bias > 0.1
    assert found.verdict.holds


def test_contenders_score_what_bench_replay_scores(traffic: Traffic, tmp_path: Path) -> None:
    problems = read_recording(recording(tmp_path / "r.jsonl"))
    by = Ordering(shuffled=True, by_seed=False, repeats=3, seed=5, depth=4)
    reels = [reel(tape(p), orders(p, by), uncalibrated, verified=False) for p in problems]
    ready = stage(traffic.tapes, uncalibrated, repeats=3, seed=5)
    for contender in (default(traffic.tapes), *rivals(4, scored=True)):
        row = Bench(reels, "argmax", 4).evaluate(parse(contender.name))
        played = ready.play(contender)
        assert played.correct.mean() == pytest.approx(row.accuracy)
        assert played.samples.mean() == pytest.approx(row.samples)
        assert played.tokens.mean() == pytest.approx(row.generated_tokens)
        assert played.prm_tokens.mean() == pytest.approx(row.prm_tokens)


def test_a_reward_model_that_prefers_wrong_answers_is_called_out_with_the_vote(
    tmp_path: Path, bundle: Path
) -> None:
    file = recording(tmp_path / "r.jsonl", 80, 8, score=lambda s: 1 - s, agree=0.0)
    found = audit_recording(read_traffic(file), load(bundle).calibration, Settings(repeats=2))
    assert found.signal is not None
    assert found.signal.worse_than_voting
    assert found.signal.overall is not None
    assert found.signal.overall < 0.5
    assert not found.verdict.holds
    assert found.policies is not None
    assert found.policies.better is not None
    assert found.policies.better.rival.select == "majority"
    assert plain(found)["better_policy"] == found.policies.better.rival.name
    parse(found.policies.better.rival.name)


def test_a_good_reward_model_is_not_called_out(traffic: Traffic, bundle: Path) -> None:
    found = audit_recording(traffic, load(bundle).calibration, Settings(repeats=2))
    assert found.signal is not None
    assert not found.signal.worse_than_voting


def played(name: str, correct: np.ndarray, tokens: float) -> Played:
    spent = np.full(len(correct), tokens)
    return Played(Contender(name, fixed(1), "majority", 1), correct, spent, spent, spent)


def test_better_is_more_accurate_at_no_more_tokens_or_as_accurate_at_clearly_fewer() -> None:
    often = np.repeat([1.0, 0.0], [50, 50])
    more = np.repeat([1.0, 0.0], [70, 30])
    once_more = np.repeat([1.0, 0.0], [52, 48])
    in_use = played("in use", often, 100.0)
    rows = [
        played("more", more, 100.0),
        played("more and dearer", more, 101.0),
        played("as good, cheaper", often, 80.0),
        played("as good, hardly cheaper", often, 95.0),
        played("two more", once_more, 100.0),
        played("worse", 1 - more, 10.0),
    ]
    found = compared(in_use, rows)
    assert [one.rival.name for one in found if one.better] == ["more", "as good, cheaper"]
    best = better(found)
    assert best is not None
    assert best.rival.name == "more"
    assert better(compared(in_use, [in_use])) is None


def test_intervals_of_many_rivals_hold_jointly() -> None:
    rng = np.random.default_rng(0)
    in_use = played("in use", rng.random(200), 1.0)
    rival = played("rival", rng.random(200), 1.0)
    (alone,) = compared(in_use, [rival])
    among = compared(in_use, [rival] * 20)[0]
    spread = np.std(rival.correct - in_use.correct) / np.sqrt(200)
    assert alone.gain_ci95[1] - alone.gain_ci95[0] == pytest.approx(2 * 1.96 * spread, rel=0.1)
    assert among.gain_ci95[1] - among.gain_ci95[0] == pytest.approx(2 * 3.02 * spread, rel=0.15)
    paired = difference(rival, in_use)
    assert paired.low < paired.value < paired.high
    assert paired.value == pytest.approx(alone.gain)


def test_what_is_recommended_is_a_valid_configuration(tmp_path: Path) -> None:
    even = played("in use", np.ones(10), 1.0)
    for contender in rivals(8, scored=True):
        rival = Played(contender, even.correct, even.samples, even.tokens, even.prm_tokens)
        (found,) = compared(even, [rival])
        file = tmp_path / "adaptive.yaml"
        file.write_text(f"version: 1\n{recommended(found)}")
        checked = config.check(file)
        assert isinstance(checked, config.Config), checked
        rule = yaml.safe_load(file.read_text())["policies"]["default"]
        assert (rule["select"], rule["max_samples"]) == (contender.select, contender.limit)
        assert parse(contender.name).policy == contender.policy


def test_as_many_samples_are_replayed_as_every_problem_has(tmp_path: Path) -> None:
    problems = [Problem(str(n), "q", same("a", correct=True, score=0.5, n=n)) for n in (3, 9)]
    traffic = of(tmp_path / "r.jsonl", problems)
    assert (largest(traffic.tapes), default(traffic.tapes).limit) == (2, 2)
    lone = of(tmp_path / "one.jsonl", [Problem("1", "q", same("a", correct=True, score=0.5, n=1))])
    assert [one.name for one in rivals(largest(lone.tapes), scored=True)][-1] == "fixed:n=1,select=argmax"


def test_the_result_is_plain_json(traffic: Traffic, bundle: Path) -> None:
    values = plain(audit_recording(traffic, load(bundle).calibration, QUICK))
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert list(values)[:6] == ["n", "ece", "ece_ci95", "coverage_lower10", "holds", "better_policy"]


def test_without_anything_to_fit_the_reason_is_raised(tmp_path: Path) -> None:
    problems = [Problem(str(i), "q", same("a", correct=True, score=0.9)) for i in range(3)]
    with pytest.raises(CalibrationError, match="all 24 scored answers are right"):
        refitted(of(tmp_path / "r.jsonl", problems))
