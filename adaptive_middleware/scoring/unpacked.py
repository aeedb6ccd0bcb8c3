"""Why a model cannot be computed in packs, if it cannot: its configuration is read, then it is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.packing import Pack
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.tree import Tree

_BREAKS = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
_LENGTH_DEPENDENT = ("dynamic", "longrope")
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
_PROBE = ((1, 2, 3, 4), (1, 2, 3, 5, 6), (1, 2, 7))


def why_not(config: Any) -> str | None:  # noqa: ANN401 - any architecture's configuration
    """What in a model's configuration forbids it; None when nothing is known to."""
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if kinds:
        return f"its layers attend differently ({', '.join(sorted(kinds))})"
    if getattr(config, "layer_types", None) is None and getattr(config, "sliding_window", None) is not None:
        return f"it attends to a sliding window of {config.sliding_window} tokens"
    rope = getattr(config, "rope_parameters", None) or {}
    kind = rope.get("rope_type", "default") if isinstance(rope, dict) else "default"
    if kind in _LENGTH_DEPENDENT:
        return f"its positions depend on the length of the row (rope type {kind})"
    return None


def why_different(network: StepModel, packed: Callable[[Pack], None], tree: Tree) -> str | None:
    """What goes wrong when short rows with a common beginning are packed; None when they give the same outputs.

    `tree`, of 16 slots at least, is for this check alone. The tolerance is that of the trunk's number format, relative above 1.
    """
    rows = [Row(ids, (1, len(ids) - 1)) for ids in _PROBE]
    alone = [network([row]) for row in rows]
    pack = Pack(tree, 64)
    pack.add(rows)
    try:
        packed(pack)
        together = [outputs for outputs, _ in pack.done()]
    except _BREAKS as error:
        return f"its attention cannot be replaced ({type(error).__name__}: {error})"
    wanted, got = torch.tensor(alone), torch.tensor(together)
    allowed = _TOLERANCE.get(network.trunk.dtype, 0.1) * wanted.abs().clamp(min=1)
    if bool(((wanted - got).abs() <= allowed).all()):
        return None
    return f"its outputs differ by {float((wanted - got).abs().max()):.3g} when rows are packed"
