"""Keys and values of every layer, by slot."""

from __future__ import annotations

import torch


class Pool:
    """Tensors (slots, key-value heads, dimension) for each layer, made at first use and grown by doubling.

    One slot more than `capacity` is there: the last, for padding, which nothing reads.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        self._slots = 0

    @property
    def token_bytes(self) -> int:
        """Bytes of all layers' keys and values of one token."""
        return sum(one[0].nbytes for part in (self.keys, self.values) for one in part.values())

    def reserve(self, slots: int) -> None:
        """Have room for slots below `slots`; what is there is kept."""
        if slots <= self._slots:
            return
        self._slots = min(max(slots, 2 * self._slots), self.capacity + 1)
        for part in (self.keys, self.values):
            for layer, held in part.items():
                larger = held.new_zeros((self._slots, *held.shape[1:]))
                larger[: held.shape[0]] = held
                part[layer] = larger

    def write(self, layer: int, slots: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        """Keep `key` and `value`, each (tokens, heads, dimension), in `slots`."""
        for part, new in ((self.keys, key), (self.values, value)):
            if layer not in part:
                part[layer] = new.new_zeros((self._slots, *new.shape[1:]))
            part[layer].index_copy_(0, slots, new)
