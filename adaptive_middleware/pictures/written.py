"""A report on disk: the page, and each picture as SVG and PNG beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adaptive_middleware.atomic import replace_file
from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.pictures.page import Page, html
from adaptive_middleware.pictures.render import render


def write(out: Path, page: Page) -> Path:
    """Write `out/pictures/*.svg`, `out/pictures/*.png`, then `out/report.html`; returns the page's path.

    Folders are made where they lack; each file is replaced whole or not at all. Everything is drawn before
    anything is written. Raises `AdaptiveError` when the folder cannot be written to.
    """
    drawn = list(_files(page))
    try:
        (out / "pictures").mkdir(parents=True, exist_ok=True)
        for name, content in drawn:
            replace_file(out / name, content)
    except OSError as error:
        message = f"{out}: the report cannot be written ({error}); choose a folder that can be written to"
        raise AdaptiveError(message) from error
    return out / "report.html"


def _files(page: Page) -> Iterator[tuple[str, bytes]]:
    renderings = [render(picture) for section in page.sections for picture in section.pictures]
    for one in renderings:
        yield f"pictures/{one.picture.name}.svg", one.svg.encode()
        yield f"pictures/{one.picture.name}.png", one.png
    yield "report.html", html(page, {one.picture.name: one.inline for one in renderings}).encode()
