"""Attention of a pack on CUDA: shared context once for all segments, the rest for each, merged by log-sum-exp.

With o1, l1 the output and log-sum-exp over the shared keys and o2, l2 those over a segment's own, the attention
over both is w o1 + (1 - w) o2 with w = sigmoid(l1 - l2). The two calls are variable-length attentions without padding:
`torch.nn.attention.varlen.varlen_attn`, whose keywords differ between versions of torch and are read at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import accumulate, groupby
from typing import Any

import torch

from adaptive_middleware.scoring.attention import Attend
from adaptive_middleware.scoring.packing import Segment
from adaptive_middleware.scoring.pool import Pool

Varlen = Callable[..., "tuple[torch.Tensor, torch.Tensor]"]
"""(query, key, value, cu_q, cu_k, max_q, max_k, causal=, scale=) -> output (tokens, heads, d), log-sum-exp (tokens, heads)."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Runs of queries and of the keys that each of them attends to: `slots` in the pool, ends of runs, longest runs."""

    slots: torch.Tensor
    cu_q: torch.Tensor
    cu_k: torch.Tensor
    max_q: int
    max_k: int

    @staticmethod
    def of(queries: Sequence[int], slots: Sequence[Sequence[int]], place: torch.device) -> Spans:
        """The spans of runs with that many queries and those keys."""
        keys = [len(one) for one in slots]
        flat = torch.tensor([slot for one in slots for slot in one], device=place)
        cu_q, cu_k = (
            torch.tensor([0, *accumulate(counts)], dtype=torch.int32, device=place)
            for counts in (queries, keys)
        )
        return Spans(flat, cu_q, cu_k, max(queries), max(keys))


@dataclass(frozen=True, slots=True)
class Cascade:
    """Attention of one pack: `own` spans for its `tokens`, `shared` for the first `among` of them, if any."""

    own: Spans
    shared: Spans | None
    tokens: int
    among: int
    varlen: Varlen

    def __call__(self, layer: int, query: torch.Tensor, pool: Pool, scale: float) -> torch.Tensor:
        """As `attention.Attend`; padding at the end of the pack gets zeros."""
        out, lse = self._over(self.own, layer, query[: self.tokens], pool, scale, causal=True)
        if self.shared is not None:
            near, near_lse = out[: self.among], lse[: self.among]
            far, far_lse = self._over(self.shared, layer, query[: self.among], pool, scale, causal=False)
            weight = (far_lse - near_lse).sigmoid()[..., None].to(out.dtype)
            out = torch.cat([weight * far + (1 - weight) * near, out[self.among :]])
        return torch.cat([out, torch.zeros_like(query[self.tokens :])])

    def _over(  # noqa: PLR0913 - one layer's attention
        self, spans: Spans, layer: int, query: torch.Tensor, pool: Pool, scale: float, *, causal: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        key, value = (part[layer].index_select(0, spans.slots) for part in (pool.keys, pool.values))
        ends = (spans.cu_q, spans.cu_k, spans.max_q, spans.max_k)
        return self.varlen(query.contiguous(), key, value, *ends, causal=causal, scale=scale)


def cascading(varlen: Varlen | None = None) -> Callable[[Sequence[Segment], torch.device], Attend]:
    """How packs attend on CUDA; `varlen` replaces torch's variable-length attention."""
    kernel = torch_varlen() if varlen is None else varlen

    def attending(segments: Sequence[Segment], place: torch.device) -> Attend:
        counts = [len(segment.node.ids) for segment in segments]
        own = Spans.of(counts, [(*one.own, *one.node.slots) for one in segments], place)
        sharing = [(one.shared, count) for one, count in zip(segments, counts, strict=True) if one.shared]
        if not sharing:
            return Cascade(own, None, sum(counts), 0, kernel)
        runs = [
            (slots, sum(count for _, count in run)) for slots, run in groupby(sharing, lambda one: one[0])
        ]
        shared = Spans.of([count for _, count in runs], [slots for slots, _ in runs], place)
        return Cascade(own, shared, sum(counts), sum(count for _, count in runs), kernel)

    return attending


class torch_varlen:  # noqa: N801 - called like the function that it is about
    """Torch's variable-length attention behind one signature, whatever keywords its version has.

    `function` and `aux` replace `varlen_attn` and its request for the log-sum-exp, which some versions lay out (heads,
    tokens): where the two numbers are equal, it is read as it was the last time they were not. Causal is to the bottom
    right: the last query sees all keys.
    """

    def __init__(self, function: Callable[..., Any] | None = None, aux: object = None) -> None:
        if function is None:
            from torch.nn.attention.varlen import AuxRequest, varlen_attn  # noqa: PLC0415 - newer than torch 2.6

            function, aux = varlen_attn, AuxRequest(lse=True)
        self._function: Callable[..., Any] = function
        self._aux = aux
        self._known = frozenset(signature(function).parameters)
        self._heads_first = True

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *ends: object,
        causal: bool,
        scale: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `Varlen`."""
        tokens, heads, size = query.shape
        how: dict[str, object] = {"return_aux": self._aux}
        if heads != key.shape[1] and "enable_gqa" in self._known:
            how["enable_gqa"] = True
        elif heads != key.shape[1]:
            key, value = (part.repeat_interleave(heads // key.shape[1], dim=1) for part in (key, value))
        if "scale" in self._known:
            how["scale"] = scale
        else:  # the kernel then divides by the root of the dimension itself
            query = query * (scale * size**0.5)
        window = {"window_size": (-1, 0 if causal else -1)}
        how |= window if "window_size" in self._known else {"is_causal": causal}
        out, lse = self._function(query, key, value, *ends, **how)
        if tokens != heads:
            self._heads_first = lse.shape[0] == heads
        return out, lse.transpose(0, 1) if self._heads_first else lse
