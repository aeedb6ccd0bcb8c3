"""The pages in a real browser, on a phone and on a desk: nothing hostile runs, nothing is asked elsewhere, all can reach all."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path as File
from typing import TYPE_CHECKING

import pytest

from adaptive_middleware import Request
from adaptive_middleware.budget.caps import Cap, Subject, account
from adaptive_middleware.budget.look import SqliteLook
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Ask, Line
from adaptive_middleware.testing import answer
from adaptive_middleware.trace.feedback import judge
from adaptive_middleware.trace.reading import one
from adaptive_middleware.view.app import application
from adaptive_middleware.view.spend import Budgets
from tests.server.threaded import running
from tests.trace.made import asked
from tests.view.browsing import DESKTOP, PHONE, chromium, seen

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>'\" \x1b[2J\x1b]0;t\x07 \u202eevil\u2066 "
    + "W" * 400
)
CAP = Cap("usd", 2_000_000, "tenant")
WIDTHS = pytest.mark.parametrize("width", [PHONE, DESKTOP])
PAGES = pytest.mark.parametrize(
    "path", ["", "?q=script&degraded=yes&rule=%3Cb%3E", "calls/last", "calls/none"]
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> File:
    file = tmp_path_factory.mktemp("view") / "traces.db"
    request = Request(f"What? {HOSTILE}", model=f"m {HOSTILE}", call_site=HOSTILE, run_id=HOSTILE)
    drawn = answer(f"5 {HOSTILE}", tokens=10), answer(f"4\n\n{HOSTILE}", tokens=10), answer("4", tokens=10)
    for n in range(20):
        judge(file, str(asked(file, drawn, request, level="full").id), correct=n % 3 > 0)
    return file


@pytest.fixture(scope="module")
def site(store: File) -> Iterator[str]:
    spent = SqliteStore(store.with_name("budget.db"))
    whose = account(CAP, Subject("call", tenant=HOSTILE), time.time())
    line = Line(whose.key, CAP.limit, 400_000, 0, whose.expires)
    spent.reserve(Ask(("call.0", "call.1"), (line,), 600.0))
    spent.close()
    budgets = Budgets((CAP,), SqliteLook(store.with_name("budget.db")), f"Counted in {HOSTILE}")
    with running(application(store, seconds=0.05, budgets=budgets)) as url:
        yield f"{url}/"


@WIDTHS
@PAGES
def test_hostile_texts_stay_texts_and_no_page_is_wider_than_its_window(
    browser: Browser, site: str, path: str, width: int
) -> None:
    with seen(browser, site + path, width) as found:
        found.opened()
        assert found.overflow() <= 0
        assert found.page.locator("img, iframe, object, embed, base, [style], [onerror]").count() == 0
        assert found.page.locator("script").count() == 1
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", found.page.content())
        assert [each for each in found.wrong if "404" not in each] == []  # which the browser itself tells of
        assert all(address.startswith(site) for address in found.asked)


@WIDTHS
@PAGES
def test_axe_finds_nothing_by_day_and_by_night(browser: Browser, site: str, path: str, width: int) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe is not installed (dependency group browser)")
    with seen(browser, site + path, width) as found:
        found.opened()
        assert found.violations("light") == []
        assert found.violations("dark") == []


def test_the_policy_of_the_page_forbids_what_a_text_might_try(browser: Browser, site: str) -> None:
    with seen(browser, site) as found:
        found.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
        )
        tried = "fetch('http://127.0.0.2:9/').then(() => 'reached', () => 'refused')"
        assert found.page.evaluate("window.ran") is None
        assert found.page.evaluate(tried) == "refused"
        assert len([each for each in found.wrong if "Content Security Policy" in each]) >= 2


def test_whatever_can_be_used_is_reached_by_the_keyboard_in_order_and_shown(
    browser: Browser, site: str
) -> None:
    with seen(browser, site) as found:
        found.opened()
        count = found.page.evaluate(
            "(window.all = [...document.querySelectorAll('a, summary, select, input, button, .scroll')]).length"
        )
        for at in range(count):
            found.page.keyboard.press("Tab")
            assert found.page.evaluate("all.indexOf(document.activeElement)") == at
            assert found.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_call_is_opened_and_left_by_the_keyboard(browser: Browser, site: str, store: File) -> None:
    with seen(browser, site) as found:
        found.page.locator("#calls tbody a").first.focus()
        found.page.keyboard.press("Enter")
        found.page.wait_for_url(f"{site}calls/{one(store, 'last').id}")
        assert "Sample 1" in found.page.inner_text("main")
        found.page.keyboard.press("Tab")
        found.page.keyboard.press("Enter")
        found.page.wait_for_url(site)


def test_filters_are_chosen_by_name_and_stay_in_the_address(browser: Browser, site: str) -> None:
    with seen(browser, site, PHONE) as found:
        found.page.get_by_text("Filter calls").click()
        found.page.get_by_label("Known to be").select_option("wrong")
        found.page.get_by_role("button", name="Filter").click()
        found.page.wait_for_url("**correct=wrong**")
        rows = found.page.locator("#calls tbody tr")
        assert rows.count() == 7
        assert rows.locator("td:last-child").all_inner_texts() == ["wrong"] * 7


def test_a_call_appears_as_it_ends_and_disturbs_nobody(browser: Browser, site: str, store: File) -> None:
    with seen(browser, site) as found:
        found.page.get_by_text("live", exact=True).wait_for()
        rows = found.page.locator("#calls tbody tr")
        before = rows.count()
        found.page.get_by_text("Filter calls").click()
        found.page.get_by_label("Text").fill("half a wo")
        found.page.get_by_text("The numbers").click()
        link = found.page.locator("#calls tbody a").first
        name = link.get_attribute("href")
        link.focus()
        asked(store)
        rows.nth(before).wait_for(state="attached")
        assert found.page.evaluate("document.activeElement.getAttribute('href')") == name
        assert found.page.locator("#drift-numbers").get_attribute("open") is not None
        assert found.page.get_by_label("Text").input_value() == "half a wo"
        assert found.wrong == []
