"""The tree of known prefixes, against a dictionary of prefixes."""

from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.scoring.packing import Pack
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.tree import Node, Tree

words = st.lists(st.integers(0, 2), min_size=1, max_size=8).map(tuple)
WIDE = 10_000


def spelled(node: Node) -> tuple[int, ...]:
    return tuple(token for one in node.chain() for token in one.ids)


def all_nodes(tree: Tree) -> list[Node]:
    return list(tree._nodes())


def sound(tree: Tree) -> None:
    """Every slot is held by one token, and nothing is left undone between forwards."""
    nodes = all_nodes(tree)
    slots = [slot for node in nodes for slot in node.slots]
    assert len(slots) == len(set(slots)) == tree.held <= tree.capacity
    assert all(len(node.slots) == len(node.ids) > 0 for node in nodes)
    assert all(node.known and not node.pending and not node.wanted for node in nodes)
    assert all(node.parent is not None and node.start == node.parent.end for node in nodes)


def run(tree: Tree, rows: list[Row]) -> list[int] | None:
    """The token counts of one pack, with prefixes as outputs; None where it does not fit."""
    pack = Pack(tree, WIDE)
    if not pack.add(rows):
        return None
    for node in pack.nodes():
        before = spelled(node)[: node.start]
        for place in node.wanted:
            node.outputs[place] = tuple(map(float, (*before, *node.ids[: place - node.start + 1])))
    done = pack.done()
    for row, (outputs, _) in zip(rows, done, strict=True):
        assert outputs == tuple(tuple(map(float, row.ids[: place + 1])) for place in row.positions)
    return [count for _, count in done]


@given(batches=st.lists(st.lists(words, min_size=1, max_size=4), max_size=6))
def test_a_prefix_is_computed_once_and_its_outputs_are_those_of_its_tokens(
    batches: list[list[tuple[int, ...]]],
) -> None:
    tree = Tree(WIDE)
    known: set[tuple[int, ...]] = set()
    for batch in batches:
        counts = run(tree, [Row(ids, (len(ids) - 1,)) for ids in batch])
        prefixes = {ids[:end] for ids in batch for end in range(1, len(ids) + 1)}
        assert counts is not None
        assert sum(counts) >= len(prefixes - known)
        known |= prefixes
        assert tree.held == len(known)
        sound(tree)


@given(ids=words)
def test_a_row_that_is_asked_for_again_costs_nothing(ids: tuple[int, ...]) -> None:
    tree = Tree(WIDE)
    assert run(tree, [Row(ids, (len(ids) - 1,))]) == [len(ids)]
    assert run(tree, [Row(ids, (len(ids) - 1,))]) == [0]


@given(ids=words, more=words)
def test_a_longer_row_costs_what_it_has_more(ids: tuple[int, ...], more: tuple[int, ...]) -> None:
    tree = Tree(WIDE)
    run(tree, [Row(ids, (len(ids) - 1,))])
    assert run(tree, [Row(ids + more, (len(ids) - 1, len(ids + more) - 1))]) == [len(more)]


def test_a_known_token_whose_output_was_never_read_is_computed_again_with_its_node() -> None:
    tree = Tree(WIDE)
    run(tree, [Row((5, 6, 7), (2,))])
    assert run(tree, [Row((5, 6, 7), (1, 2))]) == [3]
    sound(tree)


@given(capacity=st.integers(1, 12), batches=st.lists(st.lists(words, min_size=1, max_size=3), max_size=10))
def test_however_little_room_there_is_outputs_are_right_and_the_room_is_kept(
    capacity: int, batches: list[list[tuple[int, ...]]]
) -> None:
    tree = Tree(capacity)
    for batch in batches:
        counts = run(tree, [Row(ids, (len(ids) - 1,)) for ids in batch])
        if counts is None:
            assert len({ids[:end] for ids in batch for end in range(1, len(ids) + 1)}) > 0
        sound(tree)


@given(first=words, second=words, third=words)
def test_what_does_not_fit_leaves_no_trace(
    first: tuple[int, ...], second: tuple[int, ...], third: tuple[int, ...]
) -> None:
    tree = Tree(WIDE)
    run(tree, [Row(first, (0,))])
    held = tree.held
    pack = Pack(tree, 1)
    pack.add([Row(second, (0,)), Row(third, (0,))])
    pack.undo()
    assert tree.held == held
    sound(tree)


def test_leaves_unused_for_longest_go_first_and_those_in_use_never() -> None:
    tree = Tree(6)
    for ids in ((1, 1), (2, 2), (3, 3)):
        run(tree, [Row(ids, (1,))])
    run(tree, [Row((1, 1), (1,))])
    run(tree, [Row((4, 4), (1,))])
    assert {spelled(node) for node in all_nodes(tree)} == {(1, 1), (3, 3), (4, 4)}
    assert tree.evicted == 1
    assert run(tree, [Row((1, 1), (1,)), Row((7,) * 5, (4,))]) is None
    assert run(tree, [Row((1, 1), (1,))]) == [0]
    assert Tree(3).reach((1, 2)).chain() == []
