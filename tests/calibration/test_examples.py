import gzip
import hashlib
import json
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest

from adaptive_middleware.calibration.examples import Example, check, fingerprint, read
from adaptive_middleware.errors import CalibrationError

GOOD = Example((0.5, 0.7), 2, False, (-0.5, -0.1), 0.25, 8, "p")
ROW = {
    "problem": "p", "level": 3, "steps": ["a\n", "b\n"], "scores": [0.5, 0.7], "done": False,
    "success": 2, "rollouts": 8, "logprobs": [-0.5, -0.1],
}  # fmt: skip


def test_a_row_of_the_lab_becomes_an_example(tmp_path: Path) -> None:
    plain, packed = tmp_path / "x.jsonl", tmp_path / "x.jsonl.gz"
    text = (
        json.dumps(ROW) + "\n\n" + json.dumps(ROW | {"steps": [], "scores": [0.5], "logprobs": None}) + "\n"
    )
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    expected = [GOOD, Example((0.5,), 0, False, None, 0.25, 8, "p")]
    assert read(plain) == read(packed) == expected
    check(expected)


def test_the_length_of_a_path_is_read_where_it_was_counted(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("\n".join(json.dumps(ROW | more) for more in ({"tokens": 17}, {"tokens": None}, {})))
    assert [example.tokens for example in read(file)] == [17, None, None]
    assert Example((0.5,), 1, True, None, 1.0, 1, "p").tokens is None


def test_an_example_knows_its_kind_and_its_independent_trials() -> None:
    assert (GOOD.kind, GOOD.trials, GOOD.right) == ("partial", 8, 2)
    finished = replace(GOOD, done=True, success=1.0)
    assert (finished.kind, finished.trials, finished.right) == ("finished", 1, 1)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (replace(GOOD, scores=()), "no scores"),
        (replace(GOOD, scores=(0.5, nan)), r"\[nan\] is not in"),
        (replace(GOOD, scores=(0.5, 1.5)), "1.5"),
        (replace(GOOD, rollouts=0), "rollouts=0"),
        (replace(GOOD, steps=-1), "steps=-1"),
        (replace(GOOD, success=1.5), "success=1.5 is not a rate"),
        (replace(GOOD, success=nan), "success=nan is not a rate"),
        (replace(GOOD, success=0.3), "not a whole number of right ends in 8"),
        (replace(GOOD, done=True), "not a whole number of right ends in 1"),
        (replace(GOOD, logprobs=(nan, nan)), "logprobs="),
        (replace(GOOD, logprobs=()), "logprobs="),
        (replace(GOOD, tokens=-1), "tokens=-1"),
    ],
)
def test_an_unusable_example_is_named_with_its_fault(bad: Example, says: str) -> None:
    with pytest.raises(CalibrationError, match=f"example 1 .problem 'p'.*{says}"):
        check([GOOD, bad])


def test_the_fingerprint_of_data_without_lengths_is_what_it_was_before_lengths_were_read() -> None:
    line = '[[0.5,0.7],2,false,[-0.5,-0.1],0.25,8,"p"]'
    assert fingerprint([GOOD]) == hashlib.sha256(line.encode()).hexdigest()
    assert len({fingerprint([replace(GOOD, tokens=tokens)]) for tokens in (None, 0, 17)}) == 3


def test_the_fingerprint_knows_the_data_and_not_its_order() -> None:
    other = replace(GOOD, success=0.5)
    assert fingerprint([GOOD, other]) == fingerprint([other, GOOD])
    assert len({fingerprint(rows) for rows in ([GOOD], [other], [GOOD, other], [GOOD, GOOD])}) == 4


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        json.dumps(ROW | {"rollouts": 0}),
        json.dumps(ROW | {"scores": None}),
        json.dumps(ROW | {"steps": 3}),
        json.dumps(ROW | {"tokens": "many"}),
    ],
)
def test_a_garbled_line_is_named_by_file_and_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(ROW) + "\n" + line)
    with pytest.raises(CalibrationError, match=r"x\.jsonl:2: not a scored prefix"):
        read(file)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no such file"):
        read(tmp_path / "none.jsonl")
    broken = tmp_path / "x.jsonl.gz"
    for content in (b"not gzip", gzip.compress(b"{}" * 1000)[:20]):
        broken.write_bytes(content)
        with pytest.raises(CalibrationError, match="cannot be read"):
            read(broken)
