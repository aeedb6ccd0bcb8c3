"""Rows of token ids to be scored, cut from the left to fit a window so that the last steps stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adaptive_middleware.errors import Unscorable

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence for the model, and the positions in it, ascending, whose outputs are scores."""

    ids: Ids
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a family lays out a question and its steps; what an answer says never changes the fixed parts.

    A row is `head`, question, `tail`, the steps and `closing`. `step` renders a step; its second argument
    says whether it opens the answer. A step's score is read at its last token (`lag` tokens earlier), or,
    where `per_step`, each step gets a row of its own that ends with it and is read after `closing`.
    """

    question: Callable[[str], Ids]
    step: Callable[[str, bool], Ids]
    head: Ids = ()
    tail: Ids = ()
    closing: Ids = ()
    lag: int = 0
    per_step: bool = False

    @property
    def fixed(self) -> int:
        """Tokens of a row that are neither question nor steps."""
        return len(self.head) + len(self.tail) + len(self.closing)


def render(layout: Layout, question: str, steps: Sequence[str], window: int) -> tuple[list[Row], int]:
    """The rows of one path, each at most `window` tokens, and the index of the first step that is scored.

    A path without steps is rendered with one empty step. When a row is too long, the earliest steps go
    first, then the beginning of the question, then that of the last step.
    """
    if window <= layout.fixed:
        message = f"max_length {window} has no room beside the {layout.fixed} tokens of the prompt: raise it"
        raise Unscorable(message)
    asked, written = layout.question(question), tuple(steps) or ("",)
    if layout.per_step:
        ends = range(1, len(written) + 1)
        return [_row(layout, asked, written[:end], window)[0] for end in ends], 0
    row, first = _row(layout, asked, written, window)
    return [row], first


def _row(layout: Layout, asked: Ids, steps: tuple[str, ...], window: int) -> tuple[Row, int]:
    room = window - layout.fixed
    first, segments = _last_steps(layout, steps, room - len(asked))
    segments[-1] = segments[-1][-room:]
    spare = room - sum(map(len, segments))
    ids = [*layout.head, *asked[max(0, len(asked) - spare) :], *layout.tail]
    positions = []
    for segment in segments:
        ids += segment
        positions.append(max(0, len(ids) - 1 - layout.lag))
    ids += layout.closing
    if layout.per_step:
        positions = [len(ids) - 1]
    return Row(tuple(ids), tuple(positions)), first


def _last_steps(layout: Layout, steps: tuple[str, ...], room: int) -> tuple[int, list[Ids]]:
    """As many of the last steps as fit into `room` tokens, at least one, and the index of the first."""
    segments: list[Ids] = []
    used = 0
    for index in range(len(steps) - 1, -1, -1):
        inner = layout.step(steps[index], False)
        if segments and used + len(inner) > room:
            break
        segments.insert(0, inner)
        used += len(inner)
    while True:  # the opening form of a step may be longer than its inner form
        first = len(steps) - len(segments)
        opening = layout.step(steps[first], True)
        used += len(opening) - len(segments[0])
        segments[0] = opening
        if len(segments) == 1 or used <= room:
            return first, segments
        used -= len(segments.pop(0))
