"""The packed forward: one batch of one, without padding, of only the tokens that are not known yet."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from adaptive_middleware.scoring import attention
from adaptive_middleware.scoring.attention import Attend, Padded, Plan
from adaptive_middleware.scoring.groups import groups
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.packing import Pack, Segment
from adaptive_middleware.scoring.pool import Pool

Attending = Callable[[Sequence[Segment], torch.device], Attend]
"""Segments of a pack -> how they attend."""


def padded(segments: Sequence[Segment], place: torch.device) -> Attend:
    """Attention in padded groups, for a CPU."""
    return Padded(groups(segments, place))


class PackedModel:
    """A step model's trunk with our attention in place of its own, on the same weights.

    `buckets` are token counts, ascending, up to which a pack is filled with padding, for compiled trunks: a pack
    longer than the last one is left as it is.
    """

    def __init__(
        self,
        network: StepModel,
        pool: Pool,
        attending: Attending = padded,
        *,
        compiled: Callable[[Any], Any] | None = None,
        buckets: Sequence[int] = (),
    ) -> None:
        attention.register()
        self._head, self._pool, self._attending, self._buckets = network.head, pool, attending, buckets
        weights = [*network.trunk.parameters(), *network.trunk.buffers()]
        trunk = copy.deepcopy(network.trunk, {id(weight): weight for weight in weights})
        for module in trunk.modules():
            if hasattr(module, "config"):
                module.config._attn_implementation = attention.NAME  # noqa: SLF001 - what every layer reads
        self.place: torch.device = trunk.device
        self._trunk = trunk if compiled is None else compiled(trunk)

    @torch.inference_mode()
    def __call__(self, pack: Pack) -> None:
        """Compute what `pack` still needs, and leave the wanted outputs in its nodes."""
        segments = pack.segments()
        if not segments:
            return
        self._pool.reserve(1 + max(slot for segment in segments for slot in segment.node.slots))
        hidden = self._hidden(segments)
        wanted = [(one.node, place) for one in segments for place in sorted(one.node.wanted)]
        starts = _starts(segments)
        rows = [starts[id(node)] + place - node.start for node, place in wanted]
        outputs = self._head(hidden[rows].float()).tolist() if rows else []
        for (node, place), output in zip(wanted, outputs, strict=True):
            node.outputs[place] = tuple(output)

    def _hidden(self, segments: Sequence[Segment]) -> torch.Tensor:
        """The last hidden states of the pack's tokens, and of its padding."""
        ids = [token for one in segments for token in one.node.ids]
        positions = [place for one in segments for place in range(one.node.start, one.node.end)]
        slots = [slot for one in segments for slot in one.node.slots]
        filling = next((bucket for bucket in self._buckets if bucket >= len(ids)), len(ids)) - len(ids)
        if filling:
            self._pool.reserve(self._pool.capacity + 1)
        columns = ((ids, 0), (positions, 0), (slots, self._pool.capacity))
        tokens, depths, places = (
            torch.tensor(column + [fill] * filling, device=self.place) for column, fill in columns
        )
        plan = Plan(self._pool, places, self._attending(segments, self.place))
        out = self._trunk(input_ids=tokens[None], position_ids=depths[None], use_cache=False, plan=plan)
        hidden: torch.Tensor = out.last_hidden_state[0]
        return hidden


def _starts(segments: Sequence[Segment]) -> dict[int, int]:
    """Where each segment's tokens begin in the pack, by its node's identity."""
    starts, at = {}, 0
    for segment in segments:
        starts[id(segment.node)] = at
        at += len(segment.node.ids)
    return starts
