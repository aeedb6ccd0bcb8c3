"""A saved fine-tuned model scores as the student that was saved, works in best-of-N, and only on its own base model."""

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path as FilePath

import pytest
from safetensors.torch import load_file, save_file

from adaptive_middleware import engine
from adaptive_middleware.calibration.bundle import load
from adaptive_middleware.checkpoint import file_digest
from adaptive_middleware.errors import BundleMismatch, CalibrationError, CheckpointError, ScorerError
from adaptive_middleware.finetuning.finetune import scored
from adaptive_middleware.finetuning.labelled import Labelled
from adaptive_middleware.finetuning.save import check_free, save
from adaptive_middleware.policy import fixed
from adaptive_middleware.ports import Ports
from adaptive_middleware.scoring.quantiles import crossing, quantile_estimate
from adaptive_middleware.scoring.quantiles_folder import ADAPTER, HEAD, MANIFEST, open_folder, text_of
from adaptive_middleware.scoring.quantiles_local import QuantileScorer, load_quantile_scorer
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import Path, Request
from tests import tiny
from tests.finetuning.conftest import QUICK, Made


@pytest.fixture(scope="module")
def scorers(base: FilePath, made: dict[str, Made]) -> dict[str, QuantileScorer]:
    return {name: load_quantile_scorer(one.folder, base, generator="tiny/lm") for name, one in made.items()}


@pytest.mark.parametrize("name", QUICK)
def test_the_loaded_scorer_says_what_the_student_said(
    scorers: dict[str, QuantileScorer], made: dict[str, Made], data: list[Labelled], name: str
) -> None:
    students = scored(made[name].tuned, data[:12])
    for one, student in zip(data[:12], students, strict=True):
        path = Path(one.steps, done=one.example.done, logprobs=one.example.logprobs)
        [found] = scorers[name].score(Request(one.question), [path])
        assert len(found.values) == max(1, len(one.steps))
        assert found.values[-1] == pytest.approx(student.values[-1], abs=1e-5)
        assert found.quantiles is not None
        assert student.quantiles is not None
        assert dict(found.quantiles[-1]) == pytest.approx(dict(student.quantiles[-1]), abs=1e-4)


def test_only_the_last_step_of_a_finished_answer_is_read_as_finished(
    scorers: dict[str, QuantileScorer],
) -> None:
    asked, steps = Request("What is 1 + 2?"), ("1 and y\n", "so it is 3\n")
    partial, done, prefix = scorers["monotone"].score(
        asked, [Path(steps, done=False), Path(steps), Path(steps[:1], done=False)]
    )
    assert done.values[0] == pytest.approx(partial.values[0], abs=1e-6)
    assert done.values[0] == pytest.approx(prefix.values[0], abs=1e-6)
    assert done.values[1] != pytest.approx(partial.values[1], abs=1e-6)


def test_log_probabilities_of_the_sampler_count_for_the_whole_path_only(
    scorers: dict[str, QuantileScorer],
) -> None:
    path = Path(("1 and y\n", "so it is 3\n"))
    plain, told = scorers["monotone"].score(Request("q"), [path, replace(path, logprobs=(-3.0, -0.5, -0.1))])
    assert plain.values[0] == pytest.approx(told.values[0], abs=1e-6)
    [untold], [told] = (
        scorers["park-2025"].score(Request("q"), [one])
        for one in (path, replace(path, logprobs=(-3.0, -0.5, -0.1)))
    )
    assert untold.values == pytest.approx(told.values, abs=1e-6)


@pytest.mark.parametrize("name", ["monotone", "increments"])
def test_no_quantiles_of_a_monotone_model_cross(scorers: dict[str, QuantileScorer], name: str) -> None:
    paths = [Path(), *(Path(("x" * n, "y\n" * n), done=bool(n % 2)) for n in range(1, 9))]
    found = [pairs for one in scorers[name].score(Request("q"), paths) for pairs in one.quantiles or ()]
    assert len(found) == 1 + 2 * 8
    assert not any(map(crossing, found))


def test_it_plugs_into_best_of_n_as_any_scorer(scorers: dict[str, QuantileScorer]) -> None:
    strategy = best_of_n(fixed(3), max_samples=3, calibrate=quantile_estimate)
    sampler = ScriptedSampler(["1 and x\n\nso 3", "1 and y\n\nso 3", "so 4"])
    outcome = engine.run(strategy(Request("What is 1 + 2?")), Ports(sampler, scorers["monotone"]))
    assert outcome.degraded == ()
    estimates = [one.estimate for one in outcome.considered]
    assert all(one is not None and 0 < one.lower <= one.mean <= one.upper < 1 for one in estimates)
    assert outcome.question is not None
    assert len(outcome.question.quantiles) == 7


def test_a_cut_path_is_read_at_the_right_steps(base: FilePath, made: dict[str, Made]) -> None:
    steps = tuple(f"step {k} is {k}\n" for k in range(30))
    long, short = (load_quantile_scorer(made["monotone"].folder, base, max_length=n) for n in (4000, 250))
    [cut] = short.score(Request("q"), [Path(steps)])
    assert 0 < cut.first < 30
    assert len(cut.values) == len(cut.quantiles or ()) == 30 - cut.first
    assert len(long.score(Request("q"), [Path(steps)])[0].values) == 30


def test_a_pickled_scorer_is_loaded_again_and_a_copy_shares_the_model(
    scorers: dict[str, QuantileScorer],
) -> None:
    scorer, paths = scorers["monotone"], [Path(("a\n",)), Path()]
    again = pickle.loads(pickle.dumps(scorer))  # noqa: S301 - our own bytes
    for one, other in zip(again.score(Request("q"), paths), scorer.score(Request("q"), paths), strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-6)
    assert copy.deepcopy(scorer) is scorer


def test_each_model_has_an_id_of_its_own(scorers: dict[str, QuantileScorer]) -> None:
    ids = {one.id for one in scorers.values()}
    assert len(ids) == len(scorers)
    assert all(one.startswith("tiny/prm@1+") for one in ids)


def test_another_base_model_or_generator_is_refused_by_name(
    made: dict[str, Made], tmp_path: FilePath, base: FilePath
) -> None:
    other = tiny.qwen_prm(tmp_path, adaptive_family={"id": "tiny/prm@2"})
    with pytest.raises(BundleMismatch, match="process reward model 'tiny/prm@1', but 'tiny/prm@2' is in use"):
        load_quantile_scorer(made["monotone"].folder, other)
    with pytest.raises(BundleMismatch, match="generator 'tiny/lm', but 'gpt' is in use"):
        load_quantile_scorer(made["monotone"].folder, base, generator="gpt")


def test_the_same_name_with_another_family_or_shape_is_refused(
    made: dict[str, Made], tmp_path: FilePath
) -> None:
    other = tiny.skywork_prm(tmp_path)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"adaptive_family": {"id": "tiny/prm@1"}}))
    with pytest.raises(BundleMismatch, match="the family 'qwen-math-prm', but 'skywork-prm' is in use"):
        load_quantile_scorer(made["monotone"].folder, other)


def signed(folder: FilePath, **tensors: object) -> FilePath:
    """The folder with a changed file and digests that fit it."""
    manifest = open_folder(folder)
    save_file({**load_file(folder / HEAD), **tensors}, folder / HEAD)  # type: ignore[dict-item] # tensors
    files = {name: file_digest(folder / name) for name in (ADAPTER, HEAD)}
    (folder / MANIFEST).write_text(text_of(replace(manifest, files=files)))
    return folder


def test_tensors_that_do_not_fit_are_refused(
    base: FilePath, made: dict[str, Made], tmp_path: FilePath
) -> None:
    folder = tmp_path / "copy"
    save(made["monotone"].tuned, folder, generator="g", data_sha256="0", metrics={})
    extra = load_file(folder / HEAD)["bias"]
    with pytest.raises(
        CheckpointError, match=r"head\.safetensors does not fit this process reward model \(at 'extra'\)"
    ):
        load_quantile_scorer(signed(folder, extra=extra), base)


def test_a_file_that_is_no_safetensors_is_refused(
    base: FilePath, made: dict[str, Made], tmp_path: FilePath
) -> None:
    folder = tmp_path / "copy"
    manifest = save(made["monotone"].tuned, folder, generator="g", data_sha256="0", metrics={})
    (folder / ADAPTER).write_bytes(b"garbage")
    files = {**manifest.files, ADAPTER: file_digest(folder / ADAPTER)}
    (folder / MANIFEST).write_text(text_of(replace(manifest, files=files)))
    with pytest.raises(CheckpointError, match=r"adapter\.safetensors cannot be read"):
        load_quantile_scorer(folder, base)


def test_a_folder_is_written_as_a_whole_or_not_at_all(made: dict[str, Made], tmp_path: FilePath) -> None:
    tuned = made["monotone"].tuned
    with pytest.raises(CalibrationError, match="a number that JSON cannot"):
        save(tuned, tmp_path / "a", generator="g", data_sha256="0", metrics={"ece": float("inf")})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CalibrationError, match="nowhere/a cannot be made"):
        save(tuned, tmp_path / "nowhere" / "a", generator="g", data_sha256="0", metrics={})
    save(tuned, tmp_path / "a", generator="g", data_sha256="0", metrics={})
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [ADAPTER, HEAD, MANIFEST]
    with pytest.raises(CalibrationError, match="exists already: give another folder"):
        check_free(tmp_path / "a")


def test_a_folder_is_no_post_hoc_bundle(made: dict[str, Made]) -> None:
    with pytest.raises(CalibrationError):
        load(made["monotone"].folder)


def test_a_window_without_room_is_an_error_of_the_scorer(base: FilePath, made: dict[str, Made]) -> None:
    with pytest.raises(ScorerError, match="max_length 3 has no room"):
        load_quantile_scorer(made["monotone"].folder, base, max_length=3).score(Request("q"), [Path()])


async def test_awaited_scores_are_the_same(scorers: dict[str, QuantileScorer]) -> None:
    scorer, path = scorers["monotone"], Path(("1 and y\n", "so it is 3\n"))
    assert scorer.concurrent
    [awaited], [scored] = await scorer.ascore(Request("q"), [path]), scorer.score(Request("q"), [path])
    assert awaited.values == pytest.approx(scored.values, abs=1e-6)
