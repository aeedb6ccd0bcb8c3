"""Plain values cross whole and exactly; everything else is refused, and no bytes can make the reader fail otherwise."""

import math
from collections import Counter, OrderedDict, defaultdict, namedtuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_middleware.verify.sandbox.codec import Garbled, Unsupported, from_bytes, to_bytes

HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
)
KEYS = st.recursive(
    HASHABLE, lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=3)), max_leaves=4
)
VALUES = st.recursive(
    KEYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.binary().map(bytearray),
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(VALUES)
def test_a_value_comes_back_with_its_exact_types(value: object) -> None:
    back = from_bytes(to_bytes(value))
    assert back == value
    assert repr(back) == repr(value) or isinstance(value, (set, frozenset, dict, list, tuple))


def test_signs_and_not_a_number_and_huge_integers_survive() -> None:
    zero, nan, huge = from_bytes(to_bytes([-0.0, math.nan, -(10**100_000)]))
    assert math.copysign(1, zero) == -1
    assert math.isnan(nan)
    assert huge == -(10**100_000)
    assert from_bytes(to_bytes(range(9, 0, -2))) == range(9, 0, -2)
    assert from_bytes(to_bytes("\ud800\n\x1b")) == "\ud800\n\x1b"


def test_containers_of_collections_become_what_they_equal() -> None:
    pair = namedtuple("pair", "a b")  # noqa: PYI024 - the thing under test
    for value, plain in (
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        (pair(1, 2), (1, 2)),
    ):
        back = from_bytes(to_bytes(value))
        assert (back, type(back)) == (plain, type(plain))


class Sly(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class SlyTuple(tuple[int, ...]):
    __slots__ = ()
    _fields = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


recursive: list[object] = []
recursive.append(recursive)
shared: list[object] = []
for _ in range(50):
    shared = [shared, shared]
deep: list[object] = []
for _ in range(61):
    deep = [deep]


@pytest.mark.parametrize(
    "value", [Sly(3), [Sly(3)], SlyTuple((1,)), object(), lambda: 0, recursive, shared, deep, iter([])]
)
def test_what_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(Unsupported):
        to_bytes(value)


@settings(max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=40), st.text("NTFif;slbBSZdtcrR0123456789abcdef-", max_size=40).map(str.encode)
    )
)
def test_any_bytes_are_a_value_or_garbled(data: bytes) -> None:
    try:
        value = from_bytes(data)
    except Garbled:
        return
    assert isinstance(to_bytes(value), bytes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"l" * 200_000,
        b"l1;" * 200_000,
        b"lffffffff;N",
        b"s5;abc",
        b"NN",
        b"S1;l0;",
        b"R0;",
        b"d1;N",
        b"iz;",
        b"s1;\xff",
    ],
)
def test_hostile_bytes_are_garbled(data: bytes) -> None:
    with pytest.raises(Garbled):
        from_bytes(data)


def test_an_object_can_cross_as_a_number() -> None:
    objects: list[object] = [object()]
    data = to_bytes([1, objects[0]], objects.index)
    assert from_bytes(data, objects.__getitem__) == [1, objects[0]]
