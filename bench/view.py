"""First paint of `view` in a real browser over a large store: `python -m bench.view` makes the store, and prints JSON.

`first_paint_ms` is first contentful paint as Chromium reports it, in a new profile each time: of the first page that the server
ever draws (`started_ms` after it was begun with nothing of the store in the machine's memory), and of the later ones. Needs the package `playwright` and Debian's
`chromium` (or another one, by --chromium).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path as File
from urllib.parse import urlencode

from playwright.sync_api import Browser, sync_playwright

from adaptive_middleware.trace.reading import one
from adaptive_middleware.view.figures import figures
from adaptive_middleware.view.overview import overview
from adaptive_middleware.view.spend import UNSEEN, spend
from bench.view_store import large_store

CHROMIUM, ROUNDS = "/usr/bin/chromium", 9
PATHS = {
    "overview": "",
    "filtered": f"?{urlencode({'rule': 'code', 'correct': 'wrong'})}",
    "searched": f"?{urlencode({'q': 'worked out'})}",
}
_PAINTED = """new Promise((done) => new PerformanceObserver((seen) => {
  const paint = seen.getEntriesByName("first-contentful-paint")[0];
  if (paint) done(paint.startTime);
}).observe({type: "paint", buffered: true}))"""
_ANSWERED = "() => performance.getEntriesByType('navigation')[0].responseEnd"
_COMMAND = "import sys; from adaptive_middleware.cli import main; main()"


@contextmanager
def viewed(store: File) -> Iterator[str]:
    """The address of a `view` of the store, in a process of its own that ends with the block."""
    words = [sys.executable, "-c", _COMMAND, "view", "--port", "0", "--json", "--store", str(store)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own words
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def painted(browser: Browser, url: str) -> tuple[float, float]:
    """Milliseconds until the page was painted, and until all of it had been answered, in a new profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.goto(url)
        return float(page.evaluate(_PAINTED)), float(page.evaluate(_ANSWERED))
    finally:
        context.close()


def measured(store: File, chromium: str) -> dict[str, object]:
    """The figures of one store."""
    call = one(store, "last").id
    _forgotten(store)
    began = time.perf_counter()
    with viewed(store) as url, sync_playwright() as playwright:
        started = time.perf_counter() - began
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        painted(browser, "data:text/html,<p>warm</p>")
        found = {"first": [painted(browser, url)]}
        for name, path in {**PATHS, "call": f"calls/{call}"}.items():
            found[name] = [painted(browser, url + path) for _ in range(ROUNDS)]
        version = browser.version
        browser.close()
    worst = max(paint for each in found.values() for paint, _ in each)
    return {
        **_bytes(store),
        "chromium": version,
        "started_ms": round(started * 1e3),
        "first_paint_ms": {**_medians(found, 0), "worst": round(worst)},
        "answered_ms": _medians(found, 1),
    }


def _medians(found: Mapping[str, Sequence[tuple[float, float]]], at: int) -> dict[str, int]:
    return {name: round(statistics.median(pair[at] for pair in each)) for name, each in found.items()}


def _bytes(store: File) -> dict[str, float]:
    """Kilobytes of the page of all calls, and of the pictures in it."""
    page = overview(figures(store), str(store), spend(UNSEEN))
    pictures = sum(map(len, re.findall("<svg.*?</svg>", page)))
    return {"page_kb": round(len(page.encode()) / 1e3, 1), "svg_kb": round(pictures / 1e3, 1)}


def _forgotten(file: File) -> None:
    """Have the machine forget what it has of a file in memory, so that it is read from the disk."""
    opened = os.open(file, os.O_RDONLY)
    try:
        os.fsync(opened)
        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(opened)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a store, measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.view", description=__doc__)
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--calls", type=int, default=100_000, help="decisions in the store")
    parser.add_argument("--days", type=float, default=30.0, help="over which they are spread")
    parser.add_argument("--chromium", default=CHROMIUM, help="the browser")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        store = File(folder) / "traces.db"
        large_store(store, given.calls, now=time.time(), days=given.days)
        size = round(store.stat().st_size / 1e6)
        found = {"calls": given.calls, "store_mb": size, **measured(store, given.chromium)}
    sys.stdout.write(json.dumps(found, indent=None if given.json else 2) + "\n")


if __name__ == "__main__":
    main()
