"""A report on disk: the page, and each picture as SVG and PNG beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.pictures.page import Page, html
from adaptive_middleware.pictures.render import png, svg


def write(out: Path, page: Page) -> Path:
    """Write `out/pictures/*.svg`, `out/pictures/*.png`, then `out/report.html`; returns the page's path.

    Folders are made where they lack; each file is replaced whole or not at all. Everything is drawn before
    anything is written. Raises `AdaptiveError` when the folder cannot be written to.
    """
    drawn = list(_files(page))
    try:
        (out / "pictures").mkdir(parents=True, exist_ok=True)
        for name, content in drawn:
            _replace(out / name, content)
    except OSError as error:
        message = f"{out}: the report cannot be written ({error}); choose a folder that can be written to"
        raise AdaptiveError(message) from error
    return out / "report.html"


def _files(page: Page) -> Iterator[tuple[str, bytes]]:
    for section in page.sections:
        for picture in section.pictures:
            yield f"pictures/{picture.name}.svg", svg(picture).encode()
            yield f"pictures/{picture.name}.png", png(picture)
    yield "report.html", html(page).encode()


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
