"""Which tokens a set of rows still needs computed, put one after another, and what each of them attends to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.tree import Node, Output, Tree


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of tokens to be computed: they see `shared`, then `own` context, then one another causally.

    All three are slots, ascending in position. `shared` is the part of the context that other segments of the
    pack have, too: it can be attended to by all of them at once.
    """

    node: Node
    shared: tuple[int, ...]
    own: tuple[int, ...]


@dataclass(slots=True)
class Pack:
    """Rows whose missing tokens are computed in one forward; `tokens` of them are new, `limit` may be.

    A row is in it whole or not at all: what cannot be added leaves no trace.
    """

    tree: Tree
    limit: int
    tokens: int = 0
    ends: list[tuple[Row, Node, int]] = field(default_factory=list)
    _pending: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tree.clock += 1

    def add(self, rows: Sequence[Row]) -> bool:
        """Whether all of `rows` fit, in tokens and in slots."""
        mark = len(self.ends)
        before = self.tokens
        for row in rows:
            if not self._added(row):
                self._withdraw(mark)
                self.tokens = before
                return False
        return True

    def segments(self) -> list[Segment]:
        """What the forward computes, segments with the same shared context side by side."""
        nodes = self.nodes()
        chains = [node.chain()[:-1] for node in nodes]
        below = Counter(id(one) for chain in chains for one in chain)
        groups: dict[int, list[Segment]] = {}
        alone: list[Segment] = []
        for node, chain in zip(nodes, chains, strict=True):
            many = next((k for k, one in enumerate(chain) if below[id(one)] < 2), len(chain))
            group = groups.setdefault(id(chain[many - 1]), []) if many else alone
            group.append(Segment(node, _slots(chain[:many]), _slots(chain[many:])))
        return [*(segment for group in groups.values() for segment in group), *alone]

    def nodes(self) -> list[Node]:
        """The nodes to be computed, those of splits among them."""
        return list(
            {id(node): node for _, end, _ in self.ends for node in end.chain() if node.pending}.values()
        )

    def done(self) -> list[tuple[tuple[Output, ...], int]]:
        """Close the pack after its forward: for each row its outputs, and how many tokens it had computed."""
        for node in self.nodes():
            node.pending, node.known = False, True
            node.wanted.clear()
        return [(tuple(_at(end, place) for place in row.positions), count) for row, end, count in self.ends]

    def undo(self) -> None:
        """Close the pack without a forward: what was to be computed is unknown again."""
        self._withdraw(0)

    def _added(self, row: Row) -> bool:
        end = self.tree.reach(row.ids)
        missing = row.ids[end.end :]
        if missing:
            if self.tokens + len(missing) > self.limit:
                return False
            grown = self.tree.grow(end, missing)
            if grown is None:
                return False
            end = grown
        count = len(missing) + self._again(end, row)
        self.tokens += count
        self.ends.append((row, end, count))
        return self.tokens <= self.limit

    def _again(self, end: Node, row: Row) -> int:
        """Ask for the outputs of a row; known tokens whose output was never read are computed again."""
        again = 0
        places = iter(sorted(row.positions))
        place = next(places, None)
        for node in end.chain():
            while place is not None and place < node.end:
                if place not in node.outputs:
                    node.wanted.add(place)
                    again += 0 if node.pending else len(node.ids)
                    node.pending = True
                place = next(places, None)
        return again

    def _withdraw(self, mark: int) -> None:
        """Take the rows from `mark` on out again; nodes that other rows need stay."""
        gone = [end for _, end, _ in self.ends[mark:]]
        del self.ends[mark:]
        kept = {id(node) for node in self.nodes()}
        for end in gone:
            node: Node | None = end
            while node is not None and node.parent is not None:
                above = node.parent
                if node.pending and id(node) not in kept and above.children.get(node.ids[0]) is node:
                    self._forgotten(node)
                node = above

    def _forgotten(self, node: Node) -> None:
        if node.known:
            node.pending = False
            node.wanted.clear()
        elif not node.children:
            self.tree.remove(node)


def _slots(chain: Sequence[Node]) -> tuple[int, ...]:
    return tuple(slot for node in chain for slot in node.slots)


def _at(end: Node, place: int) -> Output:
    node = end
    while node.start > place and node.parent is not None:
        node = node.parent
    return node.outputs[place]
