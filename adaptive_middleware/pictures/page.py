"""One self-contained HTML page: sections of pictures with their tables; no script, no network, no second file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from adaptive_middleware.pictures.picture import Picture, Table, printable
from adaptive_middleware.pictures.style import ROLES

_LONG = 24


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading of its own: paragraphs, an open table, pictures."""

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A report: its title, facts as (name, value), sections, and notes at the end."""

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()


def html(page: Page, drawings: Mapping[str, str]) -> str:
    """The whole document, the same for the same page; `drawings` holds each picture's SVG by its name."""
    return printable(_document(page, drawings))


def _document(page: Page, drawings: Mapping[str, str]) -> str:
    title, sections = escape(page.title), list(page.sections)
    if page.notes:
        sections.append(Section("Notes", page.notes))
    contents = "".join(_section(number, section, drawings) for number, section in enumerate(sections, 1))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>\n{_css()}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{title}</h1>\n{_facts(page.facts)}{_contents(sections)}</header>\n"
        f"<main>\n{contents}</main>\n</body>\n</html>\n"
    )


def _css() -> str:
    light, dark = ("".join(f"--{role}:{pair[which]};" for role, pair in ROLES.items()) for which in (0, 1))
    shape = files(__package__ or "").joinpath("page.css").read_text("utf-8")
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}\n{shape}"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in facts)
    return f"<dl>\n{lines}</dl>\n" if lines else ""


def _contents(sections: Sequence[Section]) -> str:
    links = "".join(
        f'<li><a href="#part-{number}">{escape(section.title)}</a></li>\n'
        for number, section in enumerate(sections, 1)
    )
    return f'<nav aria-label="Contents">\n<ul>\n{links}</ul>\n</nav>\n'


def _section(number: int, section: Section, drawings: Mapping[str, str]) -> str:
    text = "".join(f"<p>{escape(paragraph)}</p>\n" for paragraph in section.text)
    table = _table(section.table) if section.table else ""
    pictures = "".join(_picture(picture, drawings[picture.name]) for picture in section.pictures)
    return (
        f'<section aria-labelledby="part-{number}">\n<h2 id="part-{number}">{escape(section.title)}</h2>\n'
        f"{text}{table}{pictures}</section>\n"
    )


def _picture(picture: Picture, drawing: str) -> str:
    return (
        f"<h3>{escape(picture.title)}</h3>\n<p>{escape(picture.finding)}</p>\n<figure>{drawing}</figure>\n"
        f"<details>\n<summary>Numbers of this picture</summary>\n{_table(picture.table)}</details>\n"
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    rows = "".join(
        f"<tr>{_row_header(row[0])}{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>\n"
        for row in table.rows
    )
    caption = escape(table.caption)
    return (
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0">\n<table>\n<caption>{caption}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _row_header(name: str) -> str:
    """A policy's name may be broken after a colon or a comma, but not at `N = 8`; a long one gets room on a wide screen."""
    broken = re.sub(r"([:,])(?=\S)", r"\1<wbr>", escape(name)).replace(" = ", "&nbsp;=&nbsp;")
    return f'<th scope="row"{" class=long" if len(name) > _LONG else ""}>{broken}</th>'
