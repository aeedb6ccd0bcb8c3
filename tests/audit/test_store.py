import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from adaptive_middleware.audit.lines import is_store
from adaptive_middleware.audit.store import Call, read_store
from adaptive_middleware.audit.store_audit import ONLY_RETURNED, audit_store
from adaptive_middleware.calibration.bundle import load
from adaptive_middleware.errors import RecordingError
from adaptive_middleware.policy import fixed
from adaptive_middleware.recording import read_recording
from adaptive_middleware.replay import once, recorded_answer, replay, take, tape
from adaptive_middleware.report import report
from adaptive_middleware.strategies.best_of_n import best_of_n
from tests.audit.world import recording, surer


def line(**fields: Any) -> dict[str, Any]:
    """A call's report as far as an audit reads it."""
    plain = {
        "strategy": "best-of-n",
        "decisions": [],
        "p": 0.8,
        "calibrated": True,
        "selected_by": "calibrated argmax",
        "chosen": 0,
        "candidates": [{"estimate": {"mean": 0.8, "lower": 0.5, "upper": 0.9}, "step_scores": [0.7]}],
        "correct": True,
    }
    return plain | fields


def written(file: Path, *lines: dict[str, Any] | str) -> Path:
    texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return file


def reported(file: Path, bundle: Path, recorded: Path, *, samples: int = 2) -> Path:
    """What live calls would have stored: real reports of best-of-N on each problem of a recording."""
    calibration = load(bundle).calibration
    lines = []
    for problem in read_recording(recorded):
        one = tape(problem)
        flow = best_of_n(fixed(samples), samples, once(calibration, one), answer=recorded_answer)
        outcome = replay(one, flow)
        lines.append(json.dumps({**(report(outcome) or {}), "correct": take(outcome.chosen).correct}))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def store(tmp_path: Path, bundle: Path) -> Path:
    return reported(tmp_path / "store.jsonl", bundle, recording(tmp_path / "r.jsonl", 300, 2))


def test_real_reports_are_read_and_a_calibration_that_is_right_holds(store: Path, bundle: Path) -> None:
    assert is_store(store)
    found = audit_store(read_store(store), load(bundle).calibration)
    assert (found.kind, found.n, found.verdict.holds) == ("store", 300, True)
    assert found.findings is not None
    assert found.findings.coverage is not None
    assert 0.85 < found.findings.coverage.share <= 1
    assert found.findings.drift is not None
    assert found.notes == (ONLY_RETURNED,)


def test_probabilities_are_audited_as_they_were_reported(tmp_path: Path, store: Path, bundle: Path) -> None:
    lines = [json.loads(text) for text in store.read_text().splitlines()]
    raised = [one | {"p": surer(one["p"])} for one in lines]
    found = audit_store(read_store(written(tmp_path / "surer.jsonl", *raised)), load(bundle).calibration)
    assert not found.verdict.holds
    assert found.verdict.reasons[0].startswith("test: ")
    assert "too much" in found.verdict.reasons[0]


def test_a_change_on_the_way_is_drift(tmp_path: Path, store: Path) -> None:
    lines = [json.loads(text) for text in store.read_text().splitlines()]
    late = [one | {"p": surer(one["p"])} if i >= 150 else one for i, one in enumerate(lines)]
    found = audit_store(read_store(written(tmp_path / "late.jsonl", *late)), None)
    assert any(reason.startswith("drift: ") for reason in found.verdict.reasons)


def test_coverage_needs_the_bundle_that_made_the_estimates(tmp_path: Path, bundle: Path) -> None:
    file = written(tmp_path / "s.jsonl", *(line(candidates=[]) for _ in range(12)))
    found = audit_store(read_store(file), load(bundle).calibration)
    assert found.findings is not None
    assert found.findings.coverage is None
    assert "gives only 0 of 12 reported estimates again" in found.notes[0]
    raw = audit_store(read_store(file), None)
    assert raw.notes[0] == "raw scores have no quantiles: there is no coverage to measure"


def test_calls_of_one_question_belong_together_and_others_stand_alone(tmp_path: Path) -> None:
    file = written(tmp_path / "s.jsonl", line(id="q"), line(id="q"), line(id=7), line(), line())
    ids = [call.id for call in read_store(file).calls]
    assert ids[:3] == ["q", "q", "7"]
    assert len(set(ids)) == 4


def test_calls_come_in_time_order_where_every_one_has_a_time(tmp_path: Path) -> None:
    times = ("2026-11-24T12:00:02Z", 1795521600.5, "2026-11-24T12:00:01", "2026-11-24T13:00:01+01:00")
    file = written(tmp_path / "s.jsonl", *(line(time=time, id=i) for i, time in enumerate(times)))
    found = read_store(file)
    assert found.timed
    assert [call.id for call in found.calls] == ["1", "2", "3", "0"]


def test_file_order_is_taken_and_said_when_a_time_is_missing(tmp_path: Path) -> None:
    found = read_store(written(tmp_path / "s.jsonl", line(time=9.0, id="a"), line(id="b")))
    assert (found.timed, [call.id for call in found.calls]) == (False, ["a", "b"])
    assert found.notes == ("1 of 2 calls have no 'time': file order is taken",)
    assert read_store(written(tmp_path / "t.jsonl", line(), line())).notes == ()


def test_what_says_nothing_of_the_calibration_is_left_out_and_counted(tmp_path: Path) -> None:
    silent = [
        line(correct=None),
        line(correct=None),
        line(p=None),
        line(selected_by="verified"),
        line(calibrated=False),
        line(abstained="deploy must be right with probability 0.97"),
    ]
    found = read_store(written(tmp_path / "s.jsonl", line(), *silent))
    assert len(found.calls) == 1
    assert found.notes == (
        "2 lines left out: its outcome ('correct') is not known",
        "1 line left out: no probability was reported (decided by votes)",
        "1 line left out: the answer was verified, so its probability is not the calibration's",
        "1 line left out: its scores were not calibrated",
        "1 line left out: its tool calls were withheld, so its probability is not that of what was returned",
    )


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    file = written(tmp_path / "s.jsonl", line(), "")
    text = json.dumps(line(rule="grün"), ensure_ascii=False).encode()
    whole = file.read_bytes()
    for cut in (1, 30, len(text) - 1):
        file.write_bytes(whole + text[:cut])
        found = read_store(file)
        assert len(found.calls) == 1
        assert found.notes == ("1 line left out: the last one was cut while it was written",)
    file.write_bytes(whole + text)
    assert len(read_store(file).calls) == 2


def test_gzip_is_read(tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(line()).encode()))
    assert is_store(file)
    assert read_store(file).calls == (Call(0.8, True, f"the call at {file}:1", None, 0.8, (0.7,)),)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("{", "s.jsonl:2: Invalid JSON"),
        ("[]", "s.jsonl:2: Input should be an object"),
        (json.dumps(line(correct=1)), "s.jsonl:2: 'correct': Input should be a valid boolean (it is 1)"),
        (json.dumps(line(p=1.2)), "'p': Input should be less than or equal to 1 (it is 1.2)"),
        (json.dumps(line(p=float("nan"))), "s.jsonl:2: "),
        (
            json.dumps(line(time="noon")),
            "s.jsonl:2: 'time' is 'noon', but must be seconds since 1970 or ISO 8601",
        ),
        (json.dumps(line(candidates=["x" * 99])), "'candidates.0': "),
        (json.dumps({"correct": True}), "'strategy': Field required"),
    ],
)
def test_a_broken_line_is_named_with_its_field(tmp_path: Path, broken: str, complaint: str) -> None:
    file = written(tmp_path / "s.jsonl", line(), broken, line())
    with pytest.raises(RecordingError) as raised:
        read_store(file)
    assert complaint in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_store_without_a_single_outcome_is_refused_with_the_reasons(tmp_path: Path) -> None:
    file = written(tmp_path / "s.jsonl", line(correct=None), line(calibrated=False))
    with pytest.raises(RecordingError, match=r"no call can be audited; 1 line left out: its outcome"):
        read_store(file)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty; audit reads a recording"),
        (b"\n\n", "empty; audit reads"),
        (b"hello\n", "x.jsonl:1: not JSON"),
        (b'\n{"a": 1}\n', "x.jsonl:2: neither a problem with its 'samples' nor a call's report"),
        (b"[1]\n", "x.jsonl:1: neither a problem"),
        (gzip.compress(b"{}", mtime=0)[:-9], "cannot be read"),
    ],
)
def test_a_file_that_is_neither_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    with pytest.raises(RecordingError) as raised:
        is_store(file)
    assert complaint in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"none\.jsonl: no such file"):
        is_store(tmp_path / "none.jsonl")


def test_recordings_are_told_from_stores_by_content(tmp_path: Path) -> None:
    counts = tmp_path / "c.jsonl"
    counts.write_text('{"id": 1, "n": 3, "n_correct": 1}\n')
    assert not is_store(counts)
    assert not is_store(recording(tmp_path / "r.jsonl", 3, 2))
    assert is_store(written(tmp_path / "s.jsonl", line()))
