"""A radix tree over token ids: which prefixes have their keys and values in which slots, and what was read there.

Pure bookkeeping: it knows neither torch nor a model. A node is a run of tokens; a path from the root spells a
prefix. Splitting a node moves nothing, because every token has a slot of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Output = tuple[float, ...]


@dataclass(slots=True, eq=False)
class Node:
    """A run of tokens that begins `start` tokens after the root, with the slot of each.

    `outputs` are the head's outputs that were computed here, by position from the root; `wanted` the positions
    that the next forward is to read. A `pending` node is to be computed; a `known` one has its keys and values.
    """

    ids: tuple[int, ...]
    slots: list[int]
    start: int
    parent: Node | None
    children: dict[int, Node] = field(default_factory=dict)
    outputs: dict[int, Output] = field(default_factory=dict)
    wanted: set[int] = field(default_factory=set)
    pending: bool = False
    known: bool = False
    used: int = 0

    @property
    def end(self) -> int:
        """How many tokens the path from the root to the end of this node has."""
        return self.start + len(self.ids)

    def chain(self) -> list[Node]:
        """The nodes from the first below the root to this one."""
        found = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]


class Tree:
    """Prefixes in at most `capacity` slots; when these are full, the leaves unused for longest go first.

    A caller counts `clock` up before it begins a new forward: nodes touched since are never evicted.
    """

    def __init__(self, capacity: int) -> None:
        self.root = Node((), [], 0, None)
        self.capacity, self.clock, self.evicted = capacity, 0, 0
        self._free: list[int] = []
        self._fresh = 0

    @property
    def held(self) -> int:
        """How many slots are in use."""
        return self._fresh - len(self._free)

    def reach(self, ids: Sequence[int]) -> Node:
        """The end of the longest known prefix of `ids`, split off where it ends inside a node."""
        node, at = self.root, 0
        while at < len(ids):
            child = node.children.get(ids[at])
            if child is None:
                break
            same = _common(child.ids, ids, at)
            node = child if same == len(child.ids) else self._split(child, same)
            node.used = self.clock
            at = node.end
        return node

    def grow(self, end: Node, ids: Sequence[int]) -> Node | None:
        """A new pending leaf below `end`; None where there is no room for it."""
        slots = self._taken(len(ids))
        if slots is None:
            return None
        leaf = Node(tuple(ids), slots, end.end, end, pending=True, used=self.clock)
        end.children[ids[0]] = leaf
        return leaf

    def remove(self, leaf: Node) -> None:
        """Forget a node without children."""
        if leaf.parent is not None:
            del leaf.parent.children[leaf.ids[0]]
        self._free += leaf.slots

    def _taken(self, count: int) -> list[int] | None:
        missing = count - len(self._free) - (self.capacity - self._fresh)
        if missing > 0:
            self._evict(missing)
            if count > len(self._free) + self.capacity - self._fresh:
                return None
        again = self._free[len(self._free) - min(count, len(self._free)) :]
        del self._free[len(self._free) - len(again) :]
        new = range(self._fresh, self._fresh + count - len(again))
        self._fresh += len(new)
        return [*again, *new]

    def _evict(self, count: int) -> None:
        """Free at least `count` slots where that many are not in use, a sixteenth of all at once to do it seldom."""
        goal = max(count, self.capacity // 16)
        while goal > 0:
            leaves = sorted(
                (node for node in self._nodes() if not node.children and node.used < self.clock),
                key=lambda node: node.used,
            )
            if not leaves:
                return
            for leaf in leaves:
                self.remove(leaf)
                self.evicted += 1
                goal -= len(leaf.ids)
                if goal <= 0:
                    return

    def _nodes(self) -> Iterator[Node]:
        waiting = list(self.root.children.values())
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children.values()

    def _split(self, node: Node, at: int) -> Node:
        """The first `at` tokens of `node` as a node of their own; `node` itself stays the end of its paths."""
        cut = node.start + at
        upper = Node(node.ids[:at], node.slots[:at], node.start, node.parent, {node.ids[at]: node})
        upper.outputs = {place: out for place, out in node.outputs.items() if place < cut}
        upper.wanted = {place for place in node.wanted if place < cut}
        upper.pending, upper.known, upper.used = node.pending, node.known, node.used
        if node.parent is not None:
            node.parent.children[node.ids[0]] = upper
        node.outputs = {place: out for place, out in node.outputs.items() if place >= cut}
        node.wanted -= upper.wanted
        node.ids, node.slots, node.start, node.parent = node.ids[at:], node.slots[at:], cut, upper
        return upper


def _common(run: Sequence[int], ids: Sequence[int], at: int) -> int:
    """How many tokens of `run` stand in `ids` from `at` on.

    >>> _common((7, 8, 9), (1, 7, 8, 5), 1)
    2
    """
    if tuple(ids[at : at + len(run)]) == tuple(run):
        return len(run)
    count = 0
    for token in run:
        if at + count >= len(ids) or ids[at + count] != token:
            break
        count += 1
    return count
