"""The pages show what is kept, treat every text as text, and take their figures from the latest calls."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path as File

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware import Request, best_of_n, fixed
from adaptive_middleware.errors import TraceError
from adaptive_middleware.testing import answer
from adaptive_middleware.trace.explain import explanation
from adaptive_middleware.trace.reading import one
from adaptive_middleware.types import Path
from adaptive_middleware.view.call_page import _decided, of_call
from adaptive_middleware.view.figures import Bin, Figures, Judged, Line, Today, calibration, figures
from adaptive_middleware.view.html import facts, text
from adaptive_middleware.view.overview import overview
from adaptive_middleware.view.spend import UNSEEN, Spend
from adaptive_middleware.view.svg import bars, belief, meter, reliability, score
from tests.trace.made import asked, calibrate, kept, plain_calls

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>' \" onmouseover=alert(3) \x1b[2J\u202e\ud800</pre>&lt;"
ALLOWED = {
    "html", "head", "meta", "title", "link", "script", "body", "header", "h1", "h2", "p", "span", "main", "dl", "dt", "dd",
    "figure", "svg", "rect", "circle", "path", "text", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "a", "code",
    "pre", "ol", "ul", "li", "h3", "details", "summary", "nav", "section", "figcaption", "g", "b", "strong", "form", "label",
    "select", "option", "input", "button",
}  # fmt: skip
VOID = {"meta", "link", "input"}
UNSPENT = Spend(UNSEEN, 0.0)


class Read(HTMLParser):
    """What a browser would make of a page: its elements, checked to be ours, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[str | None] = []
        self.said: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        names = dict(attrs)
        if tag == "script":
            self.scripts.append(names.get("src"))
        self.links += [str(names[name]) for name in ("href", "src") if name in names]
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def read(page: str) -> Read:
    found = Read(page)
    assert found.scripts == ["/view.js"]
    assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in found.links)
    return found


@pytest.fixture
def store(tmp_path: File) -> File:
    file = tmp_path / "traces.db"
    with kept(file, level="full") as (middleware, sink):
        outcome = middleware.run(
            Request(f"What? {HOSTILE}", model=HOSTILE, call_site=HOSTILE),
            Scripted(answer(f"5 {HOSTILE}", tokens=10), answer("4", tokens=10)),
        )
        sink.flush()
        middleware.feedback(str(outcome.id), correct=True)
    return file


class Scripted:
    """A sampler of one call."""

    def __init__(self, *paths: Path) -> None:
        self.left = list(paths)

    def sample(self, request: Request, n: int) -> list[Path]:
        drawn, self.left = self.left[:n], self.left[n:]
        return drawn


def test_hostile_texts_are_texts_on_both_pages(store: File) -> None:
    for page in (overview(figures(store), f"/x/{HOSTILE}", UNSPENT), of_call(one(store, "last"))):
        found = read(page)
        said = "".join(found.said)
        assert "<script>alert(1)</script>" in said
        assert "\x1b" not in page
        assert "\u202e" not in page
        page.encode()


def test_a_call_is_shown_with_its_samples_steps_scores_and_decisions(store: File) -> None:
    call = one(store, "last")
    said = "".join(read(of_call(call)).said)
    assert call.id in said
    assert "Sample 1: p" in said
    assert "Sample 2, returned: p 0.970" in said
    assert call.report is not None
    assert all(decision["because"] in said for decision in call.report["decisions"])
    assert "P(best is right) = " in said
    assert "What would have changed it" in said
    assert "after" in said
    assert said.count("0.970") >= 2


def test_the_overview_links_every_call_and_counts_them(store: File) -> None:
    page = overview(figures(store), "s", UNSPENT)
    found = read(page)
    assert f"/calls/{one(store, 'last').id}" in found.links
    said = " ".join(found.said)
    assert "1 calls with a probability" in said
    assert "Drift is shown from 20 judged calls on." in said
    assert "50% against" not in said


def test_an_empty_store_says_so(tmp_path: File) -> None:
    plain_calls(tmp_path / "t.db", 0)
    with kept(tmp_path / "t.db") as (_, sink):
        sink.flush()
    from adaptive_middleware.trace.schema import open_to_write  # noqa: PLC0415

    open_to_write(tmp_path / "t.db").close()
    assert "No call is kept yet" in "".join(read(overview(figures(tmp_path / "t.db"), "s", UNSPENT)).said)


def test_calls_that_were_passed_through_have_no_decisions(tmp_path: File) -> None:
    plain_calls(tmp_path / "t.db", 2)
    said = "".join(read(of_call(one(tmp_path / "t.db", "last"))).said)
    assert "Decisions" not in said
    assert "Answer" in said
    assert "Nothing is known of right and wrong" in "".join(
        read(overview(figures(tmp_path / "t.db"), "s", UNSPENT)).said
    )


@pytest.mark.parametrize("level", ["none", "hash"])
def test_calls_without_texts_are_shown_with_their_scores(tmp_path: File, level: str) -> None:
    asked(tmp_path / "t.db", ("5", "4"), level=level)
    said = "".join(read(of_call(one(tmp_path / "t.db", "last"))).said)
    assert ("sha256:" in said) == (level == "hash")
    assert "0.970" in said


def test_a_belief_that_is_not_what_the_policy_saw_is_said(tmp_path: File) -> None:
    told = explanation(one(_asked(tmp_path), "last"))
    said = "".join(_decided({**told, "notes": ["not all it saw was kept"], "would_change": []}))
    assert "<p>not all it saw was kept</p>" in said
    assert "What would have changed it" not in said


def _asked(folder: File) -> File:
    asked(folder / "t.db")
    return folder / "t.db"


def test_calls_without_scores_are_shown(tmp_path: File) -> None:
    asked(tmp_path / "t.db", ("5", "4"), strategy=best_of_n(fixed(2), calibrate=calibrate, score=False))
    assert "Sample 1, returned: p -" in "".join(read(of_call(one(tmp_path / "t.db", "last"))).said)


def line(p: float | None, correct: int | None, **more: object) -> Line:
    values: dict[str, object] = {
        "id": "0123456789abcdef", "at": 0.0, "seconds": 1.0, "rule": "r", "model": None, "p": p, "lower": None, "samples": 2,
        "max_samples": 4, "tokens": 30, "fixed_tokens": 40, "usd": None, "degraded": 0, "correct": correct,
    }  # fmt: skip
    return Line(**{**values, **more})  # type: ignore[arg-type]


def of(*lines: Line) -> Figures:
    judged = [
        Judged(one.at, one.p, one.correct) for one in lines if one.p is not None and one.correct is not None
    ]
    return Figures(len(lines), Today(0, 0, None), lines, tuple(judged))


def test_figures_are_sums_over_calls() -> None:
    seen = of(line(0.5, None), line(0.5, None, samples=1, tokens=10, degraded=2))
    assert (seen.saved, seen.degraded, seen.samples) == (0.5, 1, [(1, 1), (2, 1)])
    assert of().saved is None


def test_calibration_is_by_tenths_and_its_counts_add_up() -> None:
    judged = [Judged(0.0, 0.05, 0), Judged(0.0, 0.95, 1), Judged(0.0, 0.97, 0), Judged(0.0, 1.0, 1)]
    assert calibration(judged) == [Bin(0.05, 0, 1), Bin((0.95 + 0.97 + 1.0) / 3, 2, 3)]


def test_drift_is_the_gap_of_the_older_and_of_the_newer_half() -> None:
    newer, older = [line(0.9, 0)] * 10, [line(0.9, 1)] * 10
    seen = of(*newer, *older)
    assert list(seen.drift or ()) == pytest.approx([-0.1, 0.9])
    assert "-0.100 in the older half, +0.900 in the newer one" in overview(seen, "s", UNSPENT)
    assert of(*newer).drift is None


def test_what_was_spent_today_begins_at_midnight_utc(tmp_path: File) -> None:
    asked(tmp_path / "t.db")
    at = one(tmp_path / "t.db", "last").at
    assert figures(tmp_path / "t.db", at).today.calls == 1
    assert figures(tmp_path / "t.db", at + 86_400).today == Today(0, 0, None)
    spent = Figures(1, Today(1, 5, 0.25), (line(0.5, 1),))
    assert "$0.25, where a price is known" in overview(spent, "s", UNSPENT)


def test_a_damaged_store_is_an_error_with_its_name(tmp_path: File) -> None:
    import sqlite3  # noqa: PLC0415

    asked(tmp_path / "t.db")
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("ALTER TABLE calls RENAME TO others")
    connection.close()
    with pytest.raises(TraceError, match=r"t\.db: the trace store cannot be read"):
        figures(tmp_path / "t.db")


@given(st.text())
def test_any_text_is_one_text_of_a_page(value: str) -> None:
    assert not re.search(r"[<>\"']", text(value))
    found = HTMLParser(convert_charrefs=True)
    said: list[str] = []
    found.handle_data = said.append  # type: ignore[method-assign, assignment]
    found.feed(f"<p>{text(value)}</p>")
    found.close()
    assert "".join(said).replace("\ufffd", "") == "".join(
        one for one in value if one.isprintable() or one in "\n\t"
    ).replace("\ufffd", "")


def test_what_is_not_known_is_left_out_of_facts() -> None:
    assert facts([("a", 0), ("b", None)]) == "<dl><dt>a</dt><dd>0</dd></dl>"


def test_pictures_keep_to_their_frames() -> None:
    assert 'height="90.0"' in bars([(1, 4), (2, 2)], "x")
    assert 'height="45.0"' in bars([(1, 4), (2, 2)], "x")
    assert 'cx="110.0" cy="110.0"' in reliability([Bin(0.5, 1, 2)], "x")
    assert 'width="60.0"' in score(7.0)
    assert belief((0.0, 0.0), "x").count("<rect") == 2
    assert bars([], "x")
    assert 'width="200.0"' in meter(30, 0, 10)
    assert 'width="50.0" height="8"/><rect class="soft" x="50.0" width="100.0"' in meter(1, 2, 4)


def test_many_numbers_of_samples_keep_room_for_their_names() -> None:
    drawn = bars([(n, 1) for n in range(1, 41)], "x")
    assert drawn.count("<rect") == 40
    assert drawn.count("<text") == 14
