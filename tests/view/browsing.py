"""A real browser for tests of pages: what it complained about, what it asked for, and what axe finds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

PHONE, DESKTOP = 390, 1280


@dataclass
class Seen:
    """A page of a site, with all that went wrong on it and every address that it asked for."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def refused(self, dialog: Dialog) -> None:
        """Close what a script popped up, and remember it."""
        self.wrong.append(dialog.message)
        dialog.dismiss()

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def opened(self) -> None:
        """Open whatever can be unfolded."""
        self.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")

    def violations(self, scheme: Any) -> list[str]:
        """What axe finds in that colour scheme; an error of the browser's policy would be in `wrong`."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; skips where it, or playwright, is not installed."""
    pytest.importorskip(
        "playwright", reason="the package playwright is not installed (dependency group browser)"
    )
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may not be installed

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium: apt-get install chromium")
    root = os.geteuid() == 0  # its sandbox is not for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()


@contextmanager
def seen(browser: Browser, url: str, width: int = DESKTOP) -> Iterator[Seen]:
    """A page in a window of that width, in a profile of its own."""
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    found = Seen(page)
    page.on("console", lambda message: found.wrong.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: found.wrong.append(str(error)))
    page.on("dialog", found.refused)
    page.on("request", lambda request: found.asked.append(request.url))
    try:
        page.goto(url)
        yield found
    finally:
        context.close()
