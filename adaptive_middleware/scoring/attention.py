"""Attention of a pack: every segment to its context in the pool and, causally, to itself.

It is registered with transformers under `NAME`. No mask is made for that name, so the plan, given to the trunk
as `plan=`, says everything. On a CPU, segments of like size are padded together and attended to in one call, the
context gathered from the pool. On CUDA, the context that segments share is attended to once by all of them and
merged with the rest by its log-sum-exp (`cascade`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn import functional
from transformers import AttentionInterface

from adaptive_middleware.scoring.pool import Pool

NAME = "adaptive_pack"


@dataclass(frozen=True, slots=True)
class Group:
    """Segments padded together: `rows` (n, q) are places of queries in the pack, `slots` (n, k) of keys in the pool.

    Padding rows point at the pack's first token and are cut off by `real` (n, q); `mask` (n, 1, q, k) says what is
    seen: by query i no more than the first `ahead` + i + 1 keys. Queries are attended to `block` at a time.
    """

    rows: torch.Tensor
    slots: torch.Tensor
    real: torch.Tensor
    mask: torch.Tensor
    ahead: int
    block: int


class Attend(Protocol):
    """How a pack attends, on one device."""

    def __call__(self, layer: int, query: torch.Tensor, pool: Pool, scale: float) -> torch.Tensor:
        """The outputs (tokens, heads, dimension) for queries of that shape."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What every layer of one forward does: write the new keys and values to `slots`, then attend."""

    pool: Pool
    slots: torch.Tensor
    attend: Attend


@dataclass(frozen=True, slots=True)
class Padded:
    """Attention of groups of segments, each in one padded call; a token outside of all groups gets zeros."""

    groups: Sequence[Group]

    def __call__(self, layer: int, query: torch.Tensor, pool: Pool, scale: float) -> torch.Tensor:
        """As `Attend`."""
        out = torch.zeros_like(query)
        for group in self.groups:
            key, value = (part[layer][group.slots].transpose(1, 2) for part in (pool.keys, pool.values))
            seen = _attended(query[group.rows].transpose(1, 2), key, value, group, scale)
            out[group.rows[group.real]] = seen.transpose(1, 2)[group.real]
        return out


def _attended(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, group: Group, scale: float
) -> torch.Tensor:
    """Grouped-query attention; (n, heads, q, d) queries, (n, key-value heads, k, d) keys and values."""
    attend = _fused if query.dtype == torch.float32 else _folded
    found = []
    for start in range(0, query.shape[2], group.block):
        end = start + group.block
        keys = group.ahead + end  # no query of this block sees further
        mask = group.mask[:, :, start:end, :keys]
        found.append(attend(query[:, :, start:end], key[:, :, :keys], value[:, :, :keys], mask, scale))
    return found[0] if len(found) == 1 else torch.cat(found, dim=2)


def _fused(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    grouped = query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scale, enable_gqa=grouped
    )


def _folded(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """In half precision, products of folded heads are twice as fast as the fused kernel on a CPU."""
    count, heads, width, size = query.shape
    folded = query.reshape(count, key.shape[1], -1, size)
    scores = (folded @ key.transpose(-1, -2)).float().mul_(scale).view(count, heads, width, -1)
    weights = scores.masked_fill_(~mask, float("-inf")).softmax(-1).to(value.dtype)
    return (weights.view(*folded.shape[:3], -1) @ value).view(query.shape)


def packed_attention(  # noqa: PLR0913 - the signature that transformers calls
    module: Any,  # noqa: ANN401 - an attention module of any architecture
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - none is made for us
    *,
    plan: Plan,
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """The attention of one layer: (1, heads, tokens, d) in, (1, tokens, heads, d) out."""
    layer = module.layer_idx
    plan.pool.write(layer, plan.slots, key[0].transpose(0, 1), value[0].transpose(0, 1))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return plan.attend(layer, query[0].transpose(0, 1), plan.pool, scale)[None], None


def register() -> None:
    """Make `packed_attention` known to transformers under `NAME`; again is the same as once."""
    disabled = torch.compiler.disable(packed_attention)  # type: ignore[no-untyped-call]
    AttentionInterface.register(NAME, disabled)
