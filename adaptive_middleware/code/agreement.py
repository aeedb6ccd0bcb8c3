"""Dual execution agreement: programs that pass the same generated tests support each other, and those tests support them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def agreement_scores(passes: Sequence[Sequence[bool | None]], power: float = 0.5) -> tuple[float, ...]:
    """How well each program agrees with other programs and with tests, from the results of every program on every test.

    `passes` has a row for each program and a column for each test. The programs S_x that pass exactly the same tests S_y are
    a consensus set, and the score of each of them is |S_x|^`power` |S_y|; equal programs and equal tests count as often as they
    were drawn, and a result of None is no pass. CodeT, Chen et al., ICLR 2023, arXiv 2207.10397; the root is that of the
    authors' published code (`src/agreement.py`). Raises `ValueError` for rows of unequal length.

    >>> agreement_scores([(True, True, False), (True, True, False), (True, True, True), (False, False, False)])
    (2.8284271247461903, 2.8284271247461903, 3.0, 0.0)
    """
    if len({len(row) for row in passes}) > 1:
        message = (
            f"rows of {sorted({len(row) for row in passes})} results: every program needs one for every test"
        )
        raise ValueError(message)
    passed = [frozenset(j for j, one in enumerate(row) if one) for row in passes]
    sizes = Counter(passed)
    return tuple(sizes[tests] ** power * len(tests) for tests in passed)


def telling(passes: Sequence[Sequence[bool | None]]) -> tuple[int, ...]:
    """The tests (columns) that tell programs apart; one that all pass, or none, does not.

    >>> telling([(True, True, False), (True, False, False)])
    (1,)
    """
    return tuple(
        j for j, column in enumerate(zip(*passes, strict=True)) if len({one is True for one in column}) > 1
    )
