"""Exact answers: right is what says the same as the expected answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptive_middleware.answers import canonical_answer, text_answer
from adaptive_middleware.normal import normal_answer
from adaptive_middleware.types import Path, Request, Verdict


@dataclass(frozen=True, slots=True)
class exact_answer:  # noqa: N801 - verifiers read as words
    r"""The `Verifier` port: an answer passes when its canonical answer is that of `expected`.

    `expected` is an answer, or a worked solution that ends in one (several lines, `#### x`, `\boxed{x}`).

    >>> said = Path(("There are 5.0 apples.",))
    >>> [exact_answer(e).verify(Request(""), [said])[0].passed for e in ("5", "#### 5", "6")]
    [True, True, False]
    """

    expected: str

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:  # noqa: ARG002 - the port's
        """One verdict per path; an answer that cannot be found in the text is wrong, with that detail."""
        wanted = expected_answer(self.expected)
        return [_verdict(canonical_answer(path), wanted) for path in paths]


def expected_answer(written: str) -> str | None:
    r"""The canonical form of an expected answer; None when there is no answer in it.

    >>> expected_answer("1,000"), expected_answer("2 + 3 = 5\n#### 5"), expected_answer(" ")
    ('1000', '5', None)
    """
    solution = "\n" in written.strip() or "####" in written or "\\boxed" in written
    if solution or written.strip()[:1] in ("{", "["):
        return text_answer(written) or normal_answer(written)
    return normal_answer(written) or None


def _verdict(found: str | None, wanted: str | None) -> Verdict:
    if found is None:
        return Verdict(passed=False, detail="no answer found in the text")
    return Verdict(found == wanted, f"answered {found!r}, expected {wanted!r}")
