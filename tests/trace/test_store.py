"""Every answered call is in the store, with its figures, and can be found again."""

from __future__ import annotations

import os
import pickle
import stat
import time
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware import Middleware, Request, report
from adaptive_middleware.errors import TraceError, UnknownCall
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.trace.reading import Kept, Search, found, one
from adaptive_middleware.trace.settings import TraceSettings, default_place
from adaptive_middleware.trace.sink import TraceSink
from tests.trace.made import SUM, THREE, asked, kept, plain_calls


@pytest.fixture
def store(tmp_path: File) -> File:
    return tmp_path / "deep" / "traces.db"


def ids(store: File, **search: Any) -> list[str]:
    return [call.id for call in found(store, Search(**search))]


def test_a_call_is_kept_with_its_figures_and_its_report(store: File) -> None:
    began = time.time()
    outcome = asked(store)
    call = one(store, str(outcome.id))
    told = report(outcome)
    assert told is not None
    assert call.report is not None
    assert call.report == told
    assert (call.rule, call.model, call.call_site, call.run_id) == ("default", "small", "tests", "run-1")
    assert (call.p, call.lower, call.samples, call.max_samples) == (told["p"], told["lower"], 2, 16)
    assert told["fixed_n"] == {"n": 16, "completion_tokens": call.fixed_tokens}
    assert call.tokens == outcome.usage.completion_tokens
    assert call.prm_tokens == outcome.usage.prm_tokens
    assert began <= call.at <= time.time()
    assert 0 <= call.seconds < 30
    assert (call.question, call.level, call.verdict) == (SUM.text, "redacted", "unknown")
    assert [sample["steps"] for sample in call.details["samples"]] == [["5"], ["4"]]
    assert call.details["tags"] == ["sums"]


def test_a_call_that_was_passed_through_is_kept_without_a_report(store: File) -> None:
    (name,) = plain_calls(store, 1)
    call = one(store, name)
    assert (call.report, call.samples, call.tokens, call.fixed_tokens, call.details["said"]) == (
        None,
        1,
        7,
        7,
        "4",
    )


def test_the_store_is_for_its_owner_only(store: File) -> None:
    plain_calls(store, 1)
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.parent.stat().st_mode) == 0o700


def test_a_call_is_found_by_its_id_by_the_end_of_it_and_as_the_last_one(store: File) -> None:
    first, second = plain_calls(store, 2)
    assert one(store, first).id == one(store, first[-12:].upper()).id == first
    assert one(store, "last").id == second


@pytest.mark.parametrize(
    "name", ["018f0000-0000-7000-8000-000000000000", "nothing-like-it", "", "abc", "%", "' OR 1=1 --"]
)
def test_an_id_that_is_not_kept_is_a_clear_error(store: File, name: str) -> None:
    plain_calls(store, 2)
    with pytest.raises(UnknownCall, match=r"no call .* `adaptive-middleware logs` lists"):
        one(store, name)


def test_the_end_of_several_ids_is_refused_with_all_of_them(store: File) -> None:
    with kept(store) as (_, sink):
        for start in "01":
            sink.ended(SUM, made(f"{start}18f0000-0000-7000-8000-00000000abcd"), 0.1)
    with pytest.raises(UnknownCall, match=r"end of several ids \(018f.*, 118f.*\)"):
        one(store, "0000abcd")


def made(name: str) -> Any:
    return replace(Middleware().run(SUM, ScriptedSampler(["4"])), id=name)


def test_an_id_that_comes_twice_keeps_its_first_call(store: File, caplog: pytest.LogCaptureFixture) -> None:
    with kept(store) as (_, sink):
        sink.ended(SUM, made("same"), 1.0)
        sink.ended(SUM, made("same"), 2.0)
        sink.flush()
        assert (sink.written, sink.dropped) == (1, 1)
    assert [call.seconds for call in found(store, Search())] == [1.0]
    assert "is there already" in caplog.text


def test_a_search_finds_what_it_names_the_latest_first(store: File) -> None:
    with kept(store) as (middleware, sink):
        calls = [
            middleware.run(Request(text, model=model), ScriptedSampler([said])).id
            for text, model, said in (
                ('100% of "x"', "a", "4"),
                ("Über\\alles", "a", "twelve"),
                ("plain", "b", "A steps B"),
            )
        ]
        first, second, third = map(str, calls)
        sink.feedback(first, correct=True)
        sink.feedback(second, correct=False)
    assert ids(store) == [third, second, first]
    assert ids(store, text='0% OF "X') == [first]
    assert ids(store, text="üBER\\") == [second]
    assert ids(store, text="R\\al") == [second]
    assert ids(store, text="step") == [third]
    assert ids(store, text="estimate") == ids(store, text="1_0") == []
    assert ids(store, model="a") == [second, first]
    assert ids(store, rule="default", verdict="right") == [first]
    assert ids(store, verdict="wrong") == [second]
    assert ids(store, verdict="unknown") == [third]
    assert ids(store, degraded=True) == ids(store, rule="other") == []
    middle = one(store, second).at
    assert ids(store, since=middle) == [third, second]
    assert ids(store, until=middle) == [first]
    assert [call.id for call in found(store, Search(model="a"), 1)] == [second]


def test_feedback_is_written_beside_the_call_and_can_be_changed_and_taken_back(store: File) -> None:
    with kept(store) as (middleware, _):
        name = str(middleware.run(SUM, ScriptedSampler(["4"])).id)
        seen: list[Kept] = []
        for correct in (True, False, None):
            middleware.feedback(name, correct=correct)
            seen.append(one(store, name))
    assert [(call.correct, call.verdict) for call in seen] == [
        (True, "right"),
        (False, "wrong"),
        (None, "unknown"),
    ]


def test_feedback_for_a_call_that_is_not_kept_is_a_clear_error(store: File) -> None:
    with kept(store) as (middleware, _):
        middleware.run(SUM, ScriptedSampler(["4"]))
        with pytest.raises(UnknownCall, match="no call 'nonsense'"):
            middleware.feedback("nonsense", correct=True)
    with pytest.raises(TraceError, match="no calls are kept"):
        Middleware().feedback("x", correct=True)


def test_a_configuration_keeps_calls_where_it_says(tmp_path: File) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\ntrace: {path: kept.db, level: hash, retention_days: 2}\n")
    middleware = Middleware.from_config(tmp_path / "a.yaml")
    name = str(middleware.run(SUM, ScriptedSampler(["4"])).id)
    middleware.feedback(name, correct=True)
    call = one(tmp_path / "kept.db", name)
    assert (call.level, call.verdict) == ("hash", "right")


def test_without_a_path_calls_are_kept_in_the_state_folder(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    middleware = Middleware.from_config({"version": 1, "trace": {}})
    name = str(middleware.run(SUM, ScriptedSampler(["4"])).id)
    middleware.feedback(name, correct=True)
    assert one(default_place(), name).verdict == "right"
    assert default_place().is_relative_to(tmp_path)
    assert (
        default_place({"HOME": "/home/me"}).as_posix()
        == "/home/me/.local/state/adaptive-middleware/traces.db"
    )


def test_a_sink_that_has_worked_can_be_pickled_and_works_again(store: File) -> None:
    with kept(store) as (middleware, sink):
        middleware.run(SUM, ScriptedSampler(["4"]))
        again: TraceSink = pickle.loads(pickle.dumps(sink))  # noqa: S301 - our own bytes
        assert (again.written, again.dropped) == (0, 0)
        again.flush()
        Middleware(observers=[again]).run(SUM, ScriptedSampler(["4"]))
        again.close()
        again.close()
    assert len(ids(store)) == 2


def test_a_closed_sink_begins_again_with_the_next_call(store: File) -> None:
    sink = TraceSink(TraceSettings(store))
    sink.close()
    for _ in range(2):
        Middleware(observers=[sink]).run(SUM, ScriptedSampler(["4"]))
        sink.close()
    assert len(ids(store)) == 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_forks_keeps_the_calls_of_both(store: File) -> None:
    sink = TraceSink(TraceSettings(store))
    middleware = Middleware(observers=[sink])
    middleware.run(SUM, ScriptedSampler(["4"]))
    sink.flush()
    child = os.fork()
    if not child:
        try:
            middleware.run(SUM, ScriptedSampler(["5"]))
            sink.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    middleware.run(SUM, ScriptedSampler(["6"]))
    sink.close()
    assert sorted(call.details["said"] for call in found(store, Search())) == ["4", "5", "6"]


def test_samples_that_failed_and_what_was_degraded_are_kept(store: File) -> None:
    failed = replace(answer(""), error="boom: no route")
    outcome = asked(store, [failed, "4", "4"], strategy=THREE)
    call = one(store, str(outcome.id))
    assert set(call.details["failed"]) == {"boom: no route"}
    assert call.samples == len(call.details["failed"]) + len(call.details["samples"])
    assert call.degraded == 1
    assert [each.id for each in found(store, Search(degraded=True))] == [outcome.id]
