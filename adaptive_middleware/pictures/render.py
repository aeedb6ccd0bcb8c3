"""Pictures as SVG and PNG, the same bytes for the same numbers, and as SVG that takes a page's colours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from xml.sax.saxutils import escape

from matplotlib.figure import Figure

from adaptive_middleware.pictures.picture import Picture
from adaptive_middleware.pictures.style import ROLES, drawn

_DPI = 192
"""Twice the 96 pixels to the inch that a browser counts."""

_NOISE = re.compile(r"\s*<metadata>.*?</metadata>|\s*<style type=\"text/css\">.*?</style>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(?:url\(|href=")#([^")]+)')
_FONT = re.compile(r"font-family: [^;\"]+")


@dataclass(frozen=True, slots=True)
class Rendering:
    """A picture, drawn: `body` is what stands between the root's tags of its SVG, `png` a whole file.

    The PNG is on white, at twice the size of a browser's pixels.
    """

    picture: Picture
    body: str
    png: bytes

    @property
    def svg(self) -> str:
        """A whole SVG file on white, named and described for screen readers."""
        root = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'{_box(self.picture)} role="img" aria-labelledby="title desc" stroke-linejoin="round">'
        )
        return f'<?xml version="1.0" encoding="utf-8"?>\n{root}{_words(self.picture, "")}{self.body}</svg>\n'

    @property
    def inline(self) -> str:
        """The same drawing for a page: ids carry the picture's name, colours are the page's variables.

        Fonts are the page's, too. Only ids that something refers to are kept.
        """
        prefix = f"{self.picture.name}-"
        used = set(_REFERENCE.findall(self.body))
        text = _ID.sub(lambda found: f'id="{prefix}{found[1]}"' if found[1] in used else "", self.body)
        text = _REFERENCE.sub(lambda found: found[0].replace("#", f"#{prefix}"), text)
        text = _FONT.sub("font-family: inherit", text)
        for role, (colour, _) in ROLES.items():
            text = text.replace(colour, f"var(--{role})")
        labels = f'role="img" aria-labelledby="{prefix}title {prefix}desc"'
        return f"<svg {_box(self.picture)} {labels}>{_words(self.picture, prefix)}{_tight(text)}</svg>"


def render(picture: Picture) -> Rendering:
    """Draw a picture; the same numbers give the same bytes."""
    with drawn(), warnings.catch_warnings():
        # A name in a script that the font lacks shows boxes in the PNG; SVG and table still say it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = Figure(figsize=picture.size)
        picture.draw(figure)
        text = _saved(figure, "svg", 72, {"Date": None, "Creator": None}).decode()
        png = _saved(figure, "png", _DPI, {"Software": None})
    begin = text.index(">", text.index("<svg")) + 1
    return Rendering(picture, _NOISE.sub("", text[begin : text.rindex("</svg>")]), png)


def _saved(figure: Figure, kind: str, dpi: int, metadata: Mapping[str, None]) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=dict(metadata))
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
