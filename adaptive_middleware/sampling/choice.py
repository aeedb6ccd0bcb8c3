"""The next token of each answer, by its own random number."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch


def choose(
    logits: torch.Tensor, chances: Sequence[Random], temperature: float, top_p: float
) -> tuple[list[int], list[float]]:
    """Tokens drawn from logits (answers, vocabulary), and their log-probabilities in the model's own distribution.

    `temperature` 0 takes the likeliest. `top_p` keeps the likeliest tokens up to that much probability, the one
    that reaches it included. A token is the inverse of the cumulative distribution at the answer's next number.
    """
    own = logits.log_softmax(-1)
    if temperature == 0:
        picked = logits.argmax(-1)
    else:
        likely = _kept((logits / temperature).softmax(-1).double(), top_p).cumsum(-1)
        heights = torch.tensor(
            [[chance.random()] for chance in chances], dtype=likely.dtype, device=likely.device
        )
        picked = torch.searchsorted(likely, heights * likely[:, -1:], right=True)[:, 0]
        picked = picked.clamp(max=logits.shape[-1] - 1)
    return picked.tolist(), own.gather(-1, picked[:, None])[:, 0].tolist()


def _kept(chances: torch.Tensor, top_p: float) -> torch.Tensor:
    """The distribution with all but the likeliest tokens set to nothing; not normalised."""
    if top_p >= 1:
        return chances
    ordered, places = chances.sort(dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    return chances.masked_fill((before >= top_p).gather(-1, places.argsort(-1)), 0.0)
