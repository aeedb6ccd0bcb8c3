"""The first check that can tell decides, and the next ones are not asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify.in_order import in_order

ASKED = Request("?")


@dataclass
class Says:
    """Says of each answer what stands at its place in the answer's text: + passed, - failed, ? undecided."""

    place: int
    seen: list[str] = field(default_factory=list)

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        self.seen += [path.text for path in paths]
        said = [path.text[self.place] for path in paths]
        return [Verdict({"+": True, "-": False, "?": None}[mark], f"{self.place}{mark}") for mark in said]


@given(st.lists(st.text("+-?", min_size=3, max_size=3), max_size=6))
def test_the_verdict_is_that_of_the_first_check_that_decides(texts: list[str]) -> None:
    checks = tuple(Says(place) for place in range(3))
    verdicts = in_order(checks).verify(ASKED, [Path((text,)) for text in texts])
    for text, verdict in zip(texts, verdicts, strict=True):
        place = next((i for i, mark in enumerate(text) if mark != "?"), 2)
        assert verdict.detail == f"{place}{text[place]}"
    for place, check in enumerate(checks):
        assert check.seen == [text for text in texts if text.startswith("?" * place)]


def test_without_checks_nothing_is_decided() -> None:
    assert in_order(()).verify(ASKED, [Path(("x",))]) == [Verdict(None)]
