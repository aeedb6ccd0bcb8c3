"""What a page is asked for: the filters in its address, and the form that writes them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from adaptive_middleware.trace.reading import Search, Verdict
from adaptive_middleware.view.figures import Figures
from adaptive_middleware.view.html import text

LONGEST = 200
"""The most characters of a filter that are taken."""
_VERDICTS: Mapping[str, Verdict] = {"right": "right", "wrong": "wrong", "unknown": "unknown"}


def asked(query: Mapping[str, str]) -> Search:
    """The search that an address asks for; what is empty or not known does not matter."""
    given = {name: query.get(name, "").strip()[:LONGEST] or None for name in ("q", "rule", "model")}
    return Search(
        given["q"],
        given["model"],
        given["rule"],
        _VERDICTS.get(query.get("correct", "")),
        degraded=query.get("degraded") == "yes",
        failed=query.get("answered") == "no",
    )


def form(seen: Figures) -> str:
    """The filters as a form; it is open when one is set."""
    wanted = seen.search
    texts = any(line.level in {"redacted", "full"} for line in seen.lines) or wanted != Search()
    hint = (
        ""
        if texts or not seen.lines
        else '<p class="faint">Texts are not kept in this store: searching them finds nothing.</p>'
    )
    clear = ' <a href="/">Show all</a>' if wanted != Search() else ""
    return (
        f'<details class="filters"{" open" if wanted != Search() else ""}><summary>Filter calls</summary>'
        f'<form method="get" action="/"><div class="fields">'
        f"{_select('rule', 'Policy', seen.names.rules, wanted.rule)}"
        f"{_select('model', 'Model', seen.names.models, wanted.model)}"
        f"{_select('correct', 'Known to be', _VERDICTS, wanted.verdict)}"
        f"{_select('degraded', 'Degraded', ('yes',), 'yes' if wanted.degraded else None)}"
        f"{_select('answered', 'Answered', ('no',), 'no' if wanted.failed else None)}"
        f'<label>Text<input type="search" name="q" maxlength="{LONGEST}" value="{text(wanted.text or "")}"></label>'
        f'</div><p><button type="submit">Filter</button>{clear}</p>{hint}</form></details>'
    )


def said(wanted: Search) -> str:
    """The filters in words, as markup; empty without any."""
    pairs: Sequence[tuple[str, str | None]] = (
        ("policy", wanted.rule),
        ("model", wanted.model),
        ("known to be", wanted.verdict),
        ("degraded", "yes" if wanted.degraded else None),
        ("answered", "no" if wanted.failed else None),
        ("text", wanted.text),
    )
    return ", ".join(f"{name} <b>{text(value)}</b>" for name, value in pairs if value is not None)


def _select(name: str, label: str, values: Iterable[str], chosen: str | None) -> str:
    every = dict.fromkeys([*values, *([] if chosen is None else [chosen])])
    options = "".join(
        f'<option value="{text(one)}"{" selected" if one == chosen else ""}>{text(one)}</option>'
        for one in every
    )
    return f'<label>{label}<select name="{name}"><option value="">any</option>{options}</select></label>'
