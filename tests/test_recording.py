import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_middleware.errors import RecordingError
from adaptive_middleware.recording import (
    Problem,
    RecordedSample,
    read_recording,
    steps_of,
    stream_recording,
    write_recording,
)

SAMPLE = {"text": "a\nb", "tokens": 7, "correct": True}


def row(**fields: object) -> str:
    return json.dumps({"id": "p", "question": "why", "samples": [SAMPLE]} | fields)


def sample(**fields: object) -> str:
    return row(samples=[SAMPLE | fields])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recording.jsonl"


def test_a_full_row_keeps_every_field(file: Path) -> None:
    fields = {
        "scores": [0.5, 1],
        "answer": "b",
        "prm_score": 0.25,
        "logprobs": [-2.5, -1],
        "step_ends": [1, 3],
        "step_tokens": [3, 4],
        "step_logprobs": [[-2.5, -1], [-0.5, -0.25]],
        "seed": 4,
        "model": "x",
    }
    line = row(
        samples=[SAMPLE | fields], level=3, question_score=0.125, question_tokens=9, gold="b", extra=[1]
    )
    file.write_text(line)
    assert read_recording(file) == [
        Problem(
            id="p",
            question="why",
            samples=(
                RecordedSample(
                    text="a\nb",
                    correct=True,
                    tokens=7,
                    scores=(0.5, 1.0),
                    answer="b",
                    prm_score=0.25,
                    logprobs=(-2.5, -1.0),
                    step_ends=(1, 3),
                    step_tokens=(3, 4),
                    step_logprobs=((-2.5, -1.0), (-0.5, -0.25)),
                    seed=4,
                    extra={"model": "x"},
                ),
            ),
            level=3,
            question_score=0.125,
            question_tokens=9,
            extra={"gold": "b", "extra": [1]},
        )
    ]


def test_a_pool_of_counts_has_a_size_and_no_samples(file: Path) -> None:
    file.write_text('{"id": 7, "question": "q", "n": 1000, "n_correct": 3}\n')
    (problem,) = read_recording(file)
    assert (problem.id, problem.verified, problem.size, problem.n_correct) == ("7", True, 1000, 3)


def test_third_party_pools_without_question_or_tokens_are_read_and_their_tokens_marked(file: Path) -> None:
    file.write_text(
        '\n{"id": "p", "difficulty": "level-2", "samples": [{"text": "one two three", "correct": false}]}\n'
    )
    (problem,) = read_recording(file)
    (only,) = problem.samples
    assert (problem.question, problem.level) == ("", "level-2")
    assert (only.tokens, only.tokens_estimated) == (3, True)


@pytest.mark.parametrize(
    ("logit", "expected"),
    [(0, 0.5), (2.0, 0.8807970779778823), (-2.0, 0.1192029220221176), (-999, 0.0), (999, 1.0)],
)
def test_a_reward_model_logit_becomes_a_score_by_the_logistic_function(
    file: Path, logit: float, expected: float
) -> None:
    file.write_text(sample(rm_score=logit))
    assert read_recording(file)[0].samples[0].prm_score == pytest.approx(expected, abs=1e-15)


def test_a_recorded_score_wins_over_a_logit(file: Path) -> None:
    file.write_text(sample(rm_score=3.0, prm_score=0.25))
    assert read_recording(file)[0].samples[0].prm_score == 0.25


def test_null_and_empty_optional_fields_are_as_good_as_absent(file: Path) -> None:
    names = (
        "scores",
        "answer",
        "prm_score",
        "logprobs",
        "step_ends",
        "step_tokens",
        "step_logprobs",
        "seed",
        "rm_score",
    )
    file.write_text(sample(**dict.fromkeys(names)) + "\n" + row(id="q", samples=[SAMPLE | {"scores": []}]))
    plain = RecordedSample("a\nb", correct=True, tokens=7)
    assert [problem.samples for problem in read_recording(file)] == [(plain,), (plain,)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no problems"),
        ("\n \n", "no problems"),
        ("not json", ":1: not JSON (Expecting value"),
        (row() + "\n{", ":2: not JSON"),
        ("[" * 100_000, ":1: not JSON"),
        ("[1]", ":1: a JSON list, not an object"),
        ('{"id": "p", "x": NaN}', "NaN is not a JSON number"),
        ('{"id": "p"}', ":1: neither 'samples' nor 'n' and 'n_correct'"),
        ('{"samples": [{"text": "a", "correct": true}]}', ":1: 'id' is missing"),
        (row(id=None), "'id' is missing"),
        (row(id=1.5), "'id' is 1.5, but must be a text or a whole number"),
        (row(id=True), "'id' is True"),
        (row(question=3), "'question' is 3, but must be a text"),
        (row(samples=[]), "'samples' is [], but must be a list of at least one sample"),
        (row(samples="x"), "'samples' is 'x'"),
        (row(samples=[3]), "'samples[0]' is 3, but must be an object"),
        (row(samples=[{"correct": True}]), "samples[0]: 'text' is missing"),
        (row(samples=[SAMPLE, {"text": "a"}]), "samples[1]: 'correct' is missing"),
        (sample(text=1), "'text' is 1, but must be a text"),
        (sample(correct=1), "'correct' is 1, but must be true or false"),
        (sample(tokens=-1), "'tokens' is -1, but must be a whole number of at least 0"),
        (sample(tokens=True), "'tokens' is True"),
        (sample(tokens=1.0), "'tokens' is 1.0"),
        (sample(scores=0.5), "'scores' is 0.5, but must be a list or null"),
        (sample(scores=[0.5, 1.5]), "'scores[1]' is 1.5, but must be in [0, 1]"),
        (sample(scores=[0.5, "x"]), "'scores[1]' is 'x', but must be a finite number"),
        (sample(scores=[0.5] * 3), "3 scores for 2 steps; give 'step_ends'"),
        (sample(answer=5), "'answer' is 5"),
        (sample(prm_score=-0.1), "'prm_score' is -0.1, but must be in [0, 1]"),
        (sample(rm_score="high"), "'rm_score' is 'high'"),
        (sample(rm_score=10**400), "must be a finite number"),
        (sample(logprobs=[True]), "'logprobs[0]' is True"),
        (row().replace('"why"', '"why", "question_score": 1e999'), "'question_score' is inf"),
        (sample(step_ends=[1, 2]), "'step_ends' is [1, 2], but must be ascending character offsets that end at len(text) = 3"),
        (sample(step_ends=[2, 1, 3]), "ascending"),
        (sample(step_ends=[0, 3]), "ascending"),
        (sample(step_ends=[1.5, 3]), "ascending"),
        (sample(step_tokens=[1, -1]), "'step_tokens' is [1, -1], but must be whole numbers of at least 0"),
        (sample(step_tokens=[1.5, 2]), "whole numbers"),
        (sample(step_tokens=[7]), "1 step_tokens for 2 steps; give one for each, or none"),
        (sample(step_logprobs=[[-1, -1]]), "1 step_logprobs for 2 steps"),
        (sample(step_logprobs=[[-1], [-1, -1]]), "'step_logprobs[0]' is [-1], but must be a pair of numbers"),
        (sample(step_logprobs=[["x", -1], [-1, -1]]), "'step_logprobs[0]' is 'x', but must be a finite number"),
        (row(level=[1]), "'level' is [1]"),
        (row(samples=None, n=5), "'n_correct' is missing"),
        (row(samples=None, n=5, n_correct=6), "'n_correct' is 6, but must be at most 'n', which is 5"),
        (row(samples=None, n=0, n_correct=0), "must be at least 1"),
        (row() + "\n\n" + row(), ":3: id 'p' is already on line 1"),
    ],
)  # fmt: skip
def test_bad_recordings_are_refused_with_file_line_and_field(
    file: Path, content: str, complaint: str
) -> None:
    file.write_text(content)
    with pytest.raises(RecordingError) as refusal:
        read_recording(file)
    assert str(refusal.value).startswith(str(file))
    assert complaint in str(refusal.value)


def test_a_long_bad_value_is_cut_in_the_message(file: Path) -> None:
    file.write_text(sample(correct="x" * 1000))
    with pytest.raises(RecordingError) as refusal:
        read_recording(file)
    assert len(str(refusal.value)) < 300


def test_a_missing_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"none\.jsonl: no such file; give the path"):
        read_recording(tmp_path / "none.jsonl")


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        read_recording(tmp_path)


def test_text_that_is_called_gz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl.gz").write_text(row())
    with pytest.raises(RecordingError, match="not gzip, though its name says so"):
        read_recording(tmp_path / "r.jsonl.gz")


def test_gzip_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    lines = "\n".join(row(id=i) for i in range(3000))
    (tmp_path / "r.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:-100])
    with pytest.raises(RecordingError, match="damaged or cut off"):
        read_recording(tmp_path / "r.jsonl.gz")


def test_bytes_that_are_not_text_are_refused(file: Path) -> None:
    file.write_bytes(b'{"id": "\xff"}')
    with pytest.raises(RecordingError, match="not UTF-8"):
        read_recording(file)


def test_gzip_is_recognised_without_its_name_and_a_byte_order_mark_is_no_harm(file: Path) -> None:
    file.write_bytes(gzip.compress(b"\xef\xbb\xbf" + row().encode()))
    assert read_recording(file)[0].id == "p"


def test_streaming_gives_problems_before_a_later_line_is_found_bad(file: Path) -> None:
    file.write_text(row() + "\n{")
    stream = stream_recording(file)
    assert next(stream).id == "p"
    with pytest.raises(RecordingError, match=":2:"):
        next(stream)


samples = st.builds(
    RecordedSample,
    text=st.text(),
    correct=st.booleans(),
    tokens=st.integers(0, 10**6),
    answer=st.none() | st.text(),
    prm_score=st.none() | st.floats(0, 1),
    logprobs=st.none() | st.tuples(st.floats(-99, 0), st.floats(-99, 0)),
    seed=st.none() | st.integers(0, 99),
    extra=st.dictionaries(st.sampled_from(["model", "time"]), st.text() | st.integers()),
)
problems = st.builds(
    Problem,
    id=st.text(),
    question=st.text(),
    samples=st.lists(samples, min_size=1, max_size=3).map(tuple),
    level=st.none() | st.integers() | st.text(),
    question_score=st.none() | st.floats(0, 1),
    question_tokens=st.none() | st.integers(0, 99),
) | st.builds(Problem, id=st.text(), n=st.just(9), n_correct=st.integers(0, 9))


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
@settings(max_examples=30, deadline=None)
@given(recorded=st.lists(problems, min_size=1, max_size=4, unique_by=lambda problem: problem.id))
def test_what_is_written_is_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, name: str, recorded: list[Problem]
) -> None:
    file = tmp_path_factory.mktemp("recording") / name
    write_recording(file, recorded)
    assert read_recording(file) == recorded


def test_estimated_tokens_stay_estimated_when_written(file: Path) -> None:
    guessed = Problem("p", samples=(RecordedSample("a b", correct=True, tokens=2, tokens_estimated=True),))
    write_recording(file, [guessed])
    assert read_recording(file) == [guessed]


def test_the_same_problems_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_recording(tmp_path / name, [Problem("p", n=2, n_correct=1)])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_a_write_that_fails_leaves_the_older_recording(file: Path) -> None:
    write_recording(file, [Problem("old", n=1, n_correct=1)])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_recording(file, [Problem("new", n=1, n_correct=1, question_score=float("nan"))])
    assert read_recording(file)[0].id == "old"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_steps_are_cut_where_the_recording_says() -> None:
    cut = RecordedSample("one.two\nthree", correct=True, tokens=3, step_ends=(4, 13))
    assert steps_of(cut) == ("one.", "two\nthree")
