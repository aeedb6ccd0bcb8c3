"""Answers of different lengths to one prompt, one token further at a time, as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from transformers import DynamicCache

from adaptive_middleware.sampling.writing import Layers, Prompt, Writing


class Batch:
    """Keys and values of `writings` side by side: the prompt's, padding, and each answer's own, which end together."""

    def __init__(self, model: Any, prompt: Prompt, writings: Sequence[Writing]) -> None:  # noqa: ANN401
        self._model, self._prompt = model, prompt
        self.writings = list(writings)
        owns = [writing.layers or () for writing in writings]
        lengths = [own[0][0].shape[1] if own else 0 for own in owns]
        self._wide = max(lengths)
        layers = [
            tuple(_joined(layer[k], [own[n][k] if own else None for own in owns], self._wide) for k in (0, 1))
            for n, layer in enumerate(prompt.layers)
        ]
        self._cache: Any = DynamicCache()
        for number, (key, value) in enumerate(layers):
            self._cache.update(key, value, number)
        start = torch.tensor([self._wide - length for length in lengths])
        own = torch.arange(self._wide) >= start[:, None]
        before = torch.ones(len(lengths), len(prompt.ids), dtype=torch.bool)
        self._mask = torch.cat([before, own], dim=1).to(model.device)

    def feed(self) -> torch.Tensor:
        """The logits (answers, vocabulary) of the next tokens, after the last one of each was fed."""
        device = self._model.device
        tokens = torch.tensor([[writing.ids[-1]] for writing in self.writings], device=device)
        places = [len(self._prompt.ids) + len(writing.ids) - 1 for writing in self.writings]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        out = self._model(
            input_ids=tokens,
            position_ids=torch.tensor(places, device=device)[:, None],
            attention_mask=self._mask.long(),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._wide += 1
        logits: torch.Tensor = out.logits[:, -1].float()
        return logits

    def leave(self, places: Sequence[int]) -> None:
        """Answers at these places are read no further here: their keys and values become their own again."""
        for place in places:
            self._give_back(place)
        going = [place for place in range(len(self.writings)) if place not in set(places)]
        if going and places:
            self._cache.batch_select_indices(torch.tensor(going, device=self._model.device))
            self._mask = self._mask[going]
        self.writings = [self.writings[place] for place in going]

    def _give_back(self, place: int) -> None:
        writing = self.writings[place]
        if writing.reason is not None:
            return
        fed = len(writing.ids) - 1
        writing.layers = tuple(
            (layer.keys[place, :, -fed:].clone(), layer.values[place, :, -fed:].clone())
            if fed
            else _none(layer)
            for layer in self._cache.layers
        )


def read(model: Any, ids: Sequence[int], prompt: Prompt | None = None) -> tuple[Layers, torch.Tensor]:  # noqa: ANN401
    """Keys and values of `ids` (after `prompt`), and the logits of what follows."""
    cache: Any = DynamicCache()
    for number, layer in enumerate(prompt.layers if prompt else ()):
        cache.update(*(part[None] for part in layer), number)
    before = len(prompt.ids) if prompt else 0
    places = torch.arange(before, before + len(ids), device=model.device)[None]
    tokens = torch.tensor([list(ids)], device=model.device)
    out = model(
        input_ids=tokens, position_ids=places, past_key_values=cache, use_cache=True, logits_to_keep=1
    )
    own = ((layer.keys[0, :, before:].clone(), layer.values[0, :, before:].clone()) for layer in cache.layers)
    return tuple(own), out.logits[0, -1].float()


def _joined(prompt: torch.Tensor, owns: Sequence[torch.Tensor | None], wide: int) -> torch.Tensor:
    """The prompt's part repeated, then each answer's own behind as much padding as makes them end together."""
    heads, _, size = prompt.shape
    out = prompt.new_zeros(len(owns), heads, prompt.shape[1] + wide, size)
    out[:, :, : prompt.shape[1]] = prompt
    for place, own in enumerate(owns):
        if own is not None and own.shape[1]:
            out[place, :, -own.shape[1] :] = own
    return out


def _none(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401
    return layer.keys[0, :, :0].clone(), layer.values[0, :, :0].clone()


def cut(layers: Layers, tokens: int) -> Layers:
    """Keys and values of the first `tokens` tokens."""
    return tuple((key[:, :tokens], value[:, :tokens]) for key, value in layers)


def nbytes(prompts: Sequence[Prompt]) -> int:
    """Bytes of keys and values of prompts."""
    return sum(part.nbytes for part in chain.from_iterable(layer for one in prompts for layer in one.layers))
