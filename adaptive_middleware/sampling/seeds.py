"""Random state of draws: a seed for each call and prompt, and torch's state put back afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


def mixed(seed: int, call: int, prompt: Sequence[int]) -> int:
    """A 63-bit seed for one call, different for each call and each prompt."""
    digest = hashlib.sha256(f"{seed}:{call}:{list(prompt)}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random state, on every device, set for one call and put back after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
