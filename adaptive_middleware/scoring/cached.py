"""Rows by packed forwards: what is known of their prefixes is kept, what does not fit is computed from scratch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from adaptive_middleware.scoring.computed import Computed
from adaptive_middleware.scoring.packing import Pack
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.tree import Output, Tree


@dataclass(slots=True)
class Cached:
    """The outputs of rows, with the keys and values of prefixes kept in `tree`.

    `forward` computes one pack of at most `limit` new tokens, `scratch` rows that fit no pack. When the device
    runs out of memory, each half is tried once; a half that fails is computed from scratch.
    """

    tree: Tree
    forward: Callable[[Pack], None]
    scratch: Callable[[Sequence[Row]], Computed]
    limit: int
    retries: int = field(default=0, init=False)
    reused: int = field(default=0, init=False)
    computed: int = field(default=0, init=False)

    def __call__(self, rows: Sequence[Row]) -> Computed:
        """The outputs of all rows, in as many packs as they need; raises what `scratch` raises."""
        done: list[tuple[tuple[Output, ...], int]] = []
        while len(done) < len(rows):
            pack = Pack(self.tree, self.limit)
            end = len(done)
            while end < len(rows) and pack.add(rows[end : end + 1]):
                end += 1
            done += self._run(pack, rows[len(done) : max(end, len(done) + 1)])
        outputs, tokens = zip(*done, strict=True) if done else ((), ())
        total, new = sum(len(row.ids) for row in rows), sum(tokens)
        self.computed, self.reused = self.computed + new, self.reused + max(total - new, 0)
        return Computed(tuple(outputs), tuple(tokens))

    def _run(self, pack: Pack, rows: Sequence[Row]) -> list[tuple[tuple[Output, ...], int]]:
        if not pack.ends:
            return self._alone(rows)
        try:
            return self._done(pack)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            self.retries += 1
        half = max(len(rows) // 2, 1)
        return [one for part in (rows[:half], rows[half:]) if part for one in self._once(part)]

    def _once(self, rows: Sequence[Row]) -> list[tuple[tuple[Output, ...], int]]:
        pack = Pack(self.tree, self.limit)
        if not pack.add(rows):
            return self._alone(rows)
        try:
            return self._done(pack)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return self._alone(rows)

    def _done(self, pack: Pack) -> list[tuple[tuple[Output, ...], int]]:
        try:
            self.forward(pack)
        except BaseException:
            pack.undo()
            raise
        return pack.done()

    def _alone(self, rows: Sequence[Row]) -> list[tuple[tuple[Output, ...], int]]:
        made = self.scratch(rows)
        return list(zip(made.outputs, made.tokens, strict=True))
