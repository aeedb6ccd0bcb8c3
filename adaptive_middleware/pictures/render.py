"""Pictures as SVG and PNG, the same bytes for the same numbers, and as SVG that takes a page's colours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from io import BytesIO
from xml.sax.saxutils import escape

from matplotlib.figure import Figure

from adaptive_middleware.pictures.picture import Picture
from adaptive_middleware.pictures.style import ROLES, drawn

_DPI = 192
"""Twice the 96 pixels to the inch that a browser counts."""

_ROOT = re.compile(r"<svg\b[^>]*>")
_NOISE = re.compile(r"\s*<metadata>.*?</metadata>|\s*<style type=\"text/css\">.*?</style>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(?:url\(|href=")#([^")]+)')
_FONT = re.compile(r"font-family: [^;\"]+")


def svg(picture: Picture) -> str:
    """A whole SVG file on white, named and described for screen readers."""
    body = _body(picture)
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {_box(picture)} '
        f'role="img" aria-labelledby="title desc" stroke-linejoin="round">'
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n{root}{_words(picture, "")}{body}</svg>\n'


def inline(picture: Picture) -> str:
    """The same drawing for a page: ids carry the picture's name, colours are the page's variables.

    Fonts are the page's, too. Only ids that something refers to are kept.
    """
    body = _body(picture)
    used = set(_REFERENCE.findall(body))
    named = _ID.sub(lambda found: f'id="{picture.name}-{found[1]}"' if found[1] in used else "", body)
    named = _REFERENCE.sub(lambda found: found[0].replace("#", f"#{picture.name}-"), named)
    named = _FONT.sub("font-family: inherit", named)
    for role, (colour, _) in ROLES.items():
        named = named.replace(colour, f"var(--{role})")
    labels = f'aria-labelledby="{picture.name}-title {picture.name}-desc"'
    return (
        f'<svg {_box(picture)} role="img" {labels}>{_words(picture, f"{picture.name}-")}{_tight(named)}</svg>'
    )


def png(picture: Picture) -> bytes:
    """The drawing on white at twice the size of a browser's pixels."""
    return _written(picture, "png", {"Software": None})


def _body(picture: Picture) -> str:
    """What stands between the root's tags."""
    text = _written(picture, "svg", {"Date": None, "Creator": None}).decode()
    root = _ROOT.search(text)
    begin = root.end() if root else 0
    return _NOISE.sub("", text[begin : text.rindex("</svg>")])


def _written(picture: Picture, kind: str, metadata: Mapping[str, None]) -> bytes:
    buffer = BytesIO()
    with drawn(), warnings.catch_warnings():
        # A name in a script that the font lacks shows boxes in the PNG; SVG and table still say it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = Figure(figsize=picture.size)
        picture.draw(figure)
        figure.savefig(buffer, format=kind, dpi=_DPI if kind == "png" else 72, metadata=dict(metadata))
    return buffer.getvalue()


def _box(picture: Picture) -> str:
    width, height = (72 * side for side in picture.size)
    return f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'


def _words(picture: Picture, prefix: str) -> str:
    return (
        f'<title id="{prefix}title">{escape(picture.title)}</title>'
        f'<desc id="{prefix}desc">{escape(picture.finding)}</desc>'
    )


def _tight(text: str) -> str:
    """Without the line breaks and indents of a file."""
    return re.sub(r"\s*\n\s*", " ", text).replace("> <", "><").replace("<g >", "<g>")
