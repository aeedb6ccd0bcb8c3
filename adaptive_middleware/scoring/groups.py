"""Segments of a pack, padded together where they are of like size."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from adaptive_middleware.scoring.attention import Group
from adaptive_middleware.scoring.packing import Segment

_WASTE = 1.25
_MOST = 1 << 18  # queries times keys attended to at once: beyond that their scores leave the cache


def groups(segments: Sequence[Segment], place: torch.device) -> list[Group]:
    """Groups whose padded attention is at most a quarter more work than that of their segments alone."""
    starts, at = [], 0
    for segment in segments:
        starts.append(at)
        at += len(segment.node.ids)
    order = sorted(range(len(segments)), key=lambda k: _size(segments[k]), reverse=True)
    found: list[list[int]] = []
    useful = 0
    for index in order:
        own = _work(*_size(segments[index]))
        padded = _padded(segments, [*found[-1], index]) if found else 0
        if found and padded <= min(_WASTE * (useful + own), max(_MOST, own)):
            found[-1].append(index)
            useful += own
        else:
            found.append([index])
            useful = own
    return [_group([segments[k] for k in members], [starts[k] for k in members], place) for members in found]


def _size(segment: Segment) -> tuple[int, int]:
    """Keys and queries of a segment."""
    count = len(segment.node.ids)
    return len(segment.shared) + len(segment.own) + count, count


def _work(keys: int, queries: int) -> int:
    return queries * (keys + 32)  # a key costs its products; a query also what does not depend on keys


def _padded(segments: Sequence[Segment], members: Sequence[int]) -> int:
    sizes = [_size(segments[k]) for k in members]
    return len(members) * _work(max(keys for keys, _ in sizes), max(queries for _, queries in sizes))


def _group(segments: Sequence[Segment], starts: Sequence[int], place: torch.device) -> Group:
    keys, queries = (max(sizes) for sizes in zip(*map(_size, segments), strict=True))
    slots = [_filled([*one.shared, *one.own, *one.node.slots], keys) for one in segments]
    counts = torch.tensor([_size(one) for one in segments], device=place)
    steps = torch.arange(queries, device=place)
    real = steps < counts[:, 1:]
    rows = torch.where(real, torch.tensor(starts, device=place)[:, None] + steps, 0)
    last = (counts[:, :1] - counts[:, 1:] + steps).clamp(max=keys - 1)
    mask = torch.arange(keys, device=place) <= last[:, :, None]
    ahead = max(total - own for total, own in map(_size, segments))
    block = max(_MOST // (len(segments) * keys), 1)
    return Group(rows, torch.tensor(slots, device=place), real, mask[:, None], ahead, block)


def _filled(slots: list[int], count: int) -> list[int]:
    return slots + slots[-1:] * (count - len(slots))
