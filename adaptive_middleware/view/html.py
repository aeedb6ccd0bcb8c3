"""Pieces of the page: whatever users and models wrote is text in them, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/view.css">
<script src="/view.js" defer></script>
</head>
<body>
"""


def text(value: object) -> str:
    """A value as text of a page: escaped, and without control characters, half characters or changes of direction.

    >>> text("<b onclick='x'>" + chr(0x202E))
    '&lt;b onclick=&#x27;x&#x27;&gt;\ufffd'
    """
    letters = (one if one.isprintable() or one in "\n\t" else "\ufffd" for one in str(value))
    return escape("".join(letters), quote=True)


def page(title: str, body: Iterable[str]) -> str:
    """A whole page."""
    return f"{_HEAD.format(title=text(title))}{''.join(body)}</body>\n</html>\n"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names with their values; those without one are left out."""
    rows = (f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs if value is not None)
    return f"<dl>{''.join(rows)}</dl>"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself; cells are markup already, and the first of each row is its heading."""
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    label = text(caption)
    return (  # the caption stands outside of what scrolls, so that all of it can be read on a phone
        f'<p class="caption" aria-hidden="true">{label}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table aria-label="{label}">'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def number(value: float | None, form: str = ".3f") -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else format(value, form)


def section(name: str, title: str, body: Iterable[str]) -> str:
    """A part of a page that is renewed by itself when the store changes; `body` is markup."""
    return f'<section id="{name}" data-live aria-labelledby="{name}-title"><h2 id="{name}-title">{text(title)}</h2>{"".join(body)}</section>'


def call_link(call: str, words: str) -> str:
    """A link to the page of a call."""
    return f'<a href="/calls/{text(call)}">{text(words)}</a>'
