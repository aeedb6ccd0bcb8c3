"""Filters: the address says which calls are wanted, the form shows it, and every figure is of these calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as File

import pytest

from adaptive_middleware import Request
from adaptive_middleware.trace.feedback import judge
from adaptive_middleware.trace.reading import Search, found
from adaptive_middleware.view import figures as module
from adaptive_middleware.view.asked import LONGEST, asked, form, said
from adaptive_middleware.view.figures import Figures, figures
from adaptive_middleware.view.overview import overview
from adaptive_middleware.view.spend import UNSEEN, Spend
from tests.trace.made import asked as kept_call
from tests.trace.made import plain_calls

UNSPENT = Spend(UNSEEN, 0.0)


@pytest.fixture
def store(tmp_path: File) -> File:
    file = tmp_path / "t.db"
    for model, words in (("small", "Two and two?"), ("large", "Der ÖLPREIS?"), ("large", "100% of it?")):
        kept_call(file, request=Request(words, model=model), level="full")
    return file


def ids(file: File, query: Mapping[str, str]) -> list[str]:
    return [line.id for line in figures(file, search=asked(query)).lines]


@pytest.mark.parametrize(
    ("query", "search"),
    [
        ({}, Search()),
        ({"rule": "", "q": "  ", "correct": "", "degraded": "", "model": ""}, Search()),
        ({"rule": "code", "model": "m", "q": " a b "}, Search("a b", "m", "code")),
        ({"correct": "wrong", "degraded": "yes"}, Search(verdict="wrong", degraded=True)),
        ({"correct": "'; DROP TABLE calls", "degraded": "1"}, Search()),
        ({"q": "x" * 999}, Search("x" * LONGEST)),
    ],
)
def test_an_address_is_a_search(query: Mapping[str, str], search: Search) -> None:
    assert asked(query) == search


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ({}, [2, 1, 0]),
        ({"model": "large"}, [2, 1]),
        ({"model": "none"}, []),
        ({"rule": "default"}, [2, 1, 0]),
        ({"q": "TWO"}, [0]),
        ({"q": "ölpreis"}, [1]),
        ({"q": "100%"}, [2]),
        ({"q": "step_scores"}, []),
        ({"q": "two", "model": "large"}, []),
        ({"correct": "right"}, [0]),
        ({"correct": "unknown"}, [2, 1]),
        ({"degraded": "yes"}, []),
    ],
)
def test_every_filter_finds_the_calls_that_it_names(
    store: File, query: Mapping[str, str], at: list[int]
) -> None:
    every = [call.id for call in found(store, Search())][::-1]
    judge(store, every[0], correct=True)
    assert ids(store, query) == [every[n] for n in at]


def test_figures_are_of_the_calls_that_the_filters_let_through(store: File) -> None:
    every = [call.id for call in found(store, Search())]
    for name in every:
        judge(store, name, correct=True)
    seen = figures(store, search=asked({"model": "large"}))
    assert (len(seen.lines), len(seen.judged), seen.total, seen.recent.looked) == (2, 2, 3, 3)
    assert len(figures(store, search=asked({"q": "two"})).judged) == 1
    assert seen.names.models == ("large", "small")


def test_a_text_is_looked_for_in_the_latest_calls_only(store: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATEST", 2)
    assert ids(store, {"q": "two"}) == []
    assert len(ids(store, {"q": "100%"})) == 1
    page = overview(figures(store, search=asked({"model": "large"})), "s", UNSPENT)
    assert "Calls with model <b>large</b>" in page


def test_the_form_shows_what_is_wanted_as_text(store: File) -> None:
    seen = figures(store, search=asked({"model": "<b>", "q": '"><script>', "correct": "wrong"}))
    shown = form(seen)
    assert '<details class="filters" open>' in shown
    assert '<option value="&lt;b&gt;" selected>' in shown
    assert 'value="&quot;&gt;&lt;script&gt;"' in shown
    assert "<script>" not in shown
    assert '<option value="wrong" selected>' in shown
    assert said(seen.search).startswith("model <b>&lt;b&gt;</b>, known to be <b>wrong</b>")
    assert "No call that the filters let through." in overview(seen, "s", UNSPENT)


def test_without_a_filter_the_form_is_closed(store: File) -> None:
    shown = form(figures(store))
    assert "open" not in shown
    assert "Show all" not in shown


def test_a_store_without_texts_says_that_searching_them_finds_nothing(tmp_path: File) -> None:
    plain_calls(tmp_path / "t.db", 1, level="none")
    assert "Texts are not kept" in form(figures(tmp_path / "t.db"))


def test_more_than_can_be_shown_is_said(store: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaptive_middleware.view.overview.LATEST", 2)
    seen = figures(store, search=asked({"model": "large"}))
    assert "at least 2." in overview(seen, "s", UNSPENT)
    assert "of these 1" in overview(Figures(3, seen.today, seen.lines[:1]), "s", UNSPENT)
