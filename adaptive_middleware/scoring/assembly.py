"""The parts of a device, chosen by what the model allows and what the settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from adaptive_middleware.errors import ConfigError
from adaptive_middleware.scoring.cached import Cached
from adaptive_middleware.scoring.cascade import cascading
from adaptive_middleware.scoring.computed import Computed, FromScratch
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.packed import Attending, PackedModel, padded
from adaptive_middleware.scoring.pool import Pool
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.tree import Tree
from adaptive_middleware.scoring.unpacked import why_different, why_not

BUCKETS = (128, 256, 512, 1024, 2048)
COMPILE = ("off", "default", "reduce-overhead")
_PROBE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """How a device computes; the fields are described at `device.Device`."""

    kv_bytes: int
    pack_tokens: int
    compile: str = "off"
    batch_invariant: bool = False

    def __post_init__(self) -> None:
        if self.compile not in COMPILE:
            message = f"compile {self.compile!r} is unknown: choose one of {', '.join(COMPILE)}"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class Parts:
    """What computes rows, where it keeps keys and values, and why it does not pack them, if so."""

    compute: Callable[[Sequence[Row]], Computed]
    pool: Pool | None
    unpacked: str | None


def parts(network: StepModel, settings: Settings) -> Parts:
    """Packed where that gives the same outputs; else padded batches, with the reason. Raises `ConfigError`."""
    scratch = FromScratch(network, settings.pack_tokens, alone=settings.batch_invariant)
    reason = "batch_invariant: every row is computed alone" if settings.batch_invariant else None
    reason = reason or why_not(network.trunk.config)
    if reason is not None:
        return Parts(scratch, None, reason)
    attending: Attending = cascading() if network.trunk.device.type == "cuda" else padded
    trial = Pool(_PROBE_TOKENS)
    reason = why_different(network, PackedModel(network, trial, attending), Tree(_PROBE_TOKENS))
    if reason is not None:
        return Parts(scratch, None, reason)
    capacity = settings.kv_bytes // trial.token_bytes
    if capacity < 1:
        return Parts(
            scratch, None, f"kv_bytes {settings.kv_bytes} holds no token of {trial.token_bytes} bytes"
        )
    pool = Pool(capacity)
    compiled = None if settings.compile == "off" else _compiling(settings.compile)
    buckets = () if compiled is None else BUCKETS
    model = PackedModel(network, pool, attending, compiled=compiled, buckets=buckets)
    return Parts(Cached(Tree(capacity), model, scratch, settings.pack_tokens), pool, None)


def _compiling(mode: str) -> Callable[[Any], Any]:
    """torch.compile of what lies between the attentions; packs are padded to buckets, so shapes are few."""

    def compiled(trunk: Any) -> Any:  # noqa: ANN401 - a module in, a module out
        return torch.compile(trunk, dynamic=mode == "default", mode=mode)

    return compiled
