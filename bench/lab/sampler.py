"""Fast sampling from the lab's policy: many continuations of many prefixes at once, temperature 1, with log-probabilities."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, apply_rotary_pos_emb

from bench.lab import text

MOST_TOKENS = 96
Pair = tuple[torch.Tensor, torch.Tensor]  # keys and values, or cosines and sines


@dataclass(frozen=True, slots=True)
class Continuation:
    """Sampled token ids (with the end token, if it came) and the log-probability of each."""

    tokens: list[int]
    logprobs: list[float]


@dataclass(frozen=True, slots=True)
class _Past:
    """Keys and values of one layer, which of them a row may see, and the column to write next."""

    pair: Pair
    visible: torch.Tensor
    column: int


class _State:
    """Keys and values of the running rows; column `filled` is the next to be written."""

    def __init__(self, caches: list[Pair], visible: torch.Tensor, lengths: torch.Tensor) -> None:
        self.caches, self.visible, self.lengths = caches, visible, lengths

    def keep(self, rows: torch.Tensor) -> None:
        self.caches = [(k[rows], v[rows]) for k, v in self.caches]
        self.visible, self.lengths = self.visible[rows], self.lengths[rows]


class Sampler:
    """Draws from a policy; `rows` continuations are computed side by side, each up to the end token or one of `stops`."""

    def __init__(
        self, model: Qwen2ForCausalLM, seed: int, rows: int = 256, stops: Collection[int] = ()
    ) -> None:
        self.model, self.rows = model, rows
        self.device = model.device
        self.ends = {int(text.tokenizer().eos_token_id), *stops}
        self.chance = torch.Generator(device=self.device).manual_seed(seed)

    @torch.inference_mode()
    def draw(self, prefixes: Sequence[Sequence[int]], n: int) -> list[list[Continuation]]:
        """`n` continuations of each prefix."""
        order = sorted(range(len(prefixes)), key=lambda index: len(prefixes[index]))
        found: list[list[Continuation]] = [[] for _ in prefixes]
        per_round = max(1, self.rows // n)
        for start in range(0, len(order), per_round):
            chosen = order[start : start + per_round]
            drawn = self._round([prefixes[index] for index in chosen], n)
            for index, group in zip(chosen, chunks(drawn, n), strict=True):
                found[index] = list(group)
        return found

    def _round(self, prefixes: list[Sequence[int]], n: int) -> list[Continuation]:
        logits, state = self._read(prefixes, n)
        alive = torch.arange(len(logits), device=self.device)
        drawn = [Continuation([], []) for _ in alive]
        width = state.visible.shape[1] - MOST_TOKENS
        for step in range(MOST_TOKENS):
            likely = logits.float().log_softmax(-1)
            picked = torch.multinomial(likely.exp(), 1, generator=self.chance)
            going = self._note(drawn, alive, picked[:, 0], likely.gather(1, picked)[:, 0])
            if len(going) == 0 or step == MOST_TOKENS - 1:
                break
            if len(going) < 0.8 * len(alive):
                state.keep(going)
                alive, picked = alive[going], picked[going]
            logits = self._step(picked, state, width + step)
        return drawn

    def _note(
        self, drawn: list[Continuation], alive: torch.Tensor, picked: torch.Tensor, logprobs: torch.Tensor
    ) -> torch.Tensor:
        """Adds one token to each row that has not ended; says which of the rows go on."""
        going = []
        for place, (row, token, value) in enumerate(
            zip(alive.tolist(), picked.tolist(), logprobs.tolist(), strict=True)
        ):
            if drawn[row].tokens and drawn[row].tokens[-1] in self.ends:
                continue
            drawn[row].tokens.append(token)
            drawn[row].logprobs.append(value)
            if token not in self.ends:
                going.append(place)
        return torch.tensor(going, dtype=torch.long, device=self.device)

    def _read(self, prefixes: list[Sequence[int]], n: int) -> tuple[torch.Tensor, _State]:
        """Computes each prefix once, then repeats its keys and values n times."""
        width, lengths = max(map(len, prefixes)), torch.tensor([len(p) for p in prefixes], device=self.device)
        ids = torch.zeros(len(prefixes), width, dtype=torch.long)
        for row, prefix in enumerate(prefixes):
            ids[row, : len(prefix)] = torch.tensor(prefix)
        positions = torch.arange(width, device=self.device).expand(len(prefixes), -1)
        nothing = [None] * self.model.config.num_hidden_layers
        hidden, caches = self._forward(ids.to(self.device), positions, nothing)
        grown = [(_grow(key, n), _grow(value, n)) for key, value in caches]
        visible = torch.arange(width + MOST_TOKENS, device=self.device) < lengths[:, None]
        last = hidden[torch.arange(len(prefixes), device=self.device), lengths - 1]
        logits = self.model.lm_head(last).repeat_interleave(n, 0)
        return logits, _State(grown, visible.repeat_interleave(n, 0), lengths.repeat_interleave(n))

    def _step(self, tokens: torch.Tensor, state: _State, column: int) -> torch.Tensor:
        state.visible[:, column] = True
        pasts = [_Past(pair, state.visible, column) for pair in state.caches]
        hidden, _ = self._forward(tokens, state.lengths[:, None], pasts)
        state.lengths = state.lengths + 1
        logits: torch.Tensor = self.model.lm_head(hidden[:, 0])
        return logits

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, pasts: Sequence[_Past | None]
    ) -> tuple[torch.Tensor, list[Pair]]:
        trunk = self.model.model
        x = trunk.embed_tokens(ids)
        angles = trunk.rotary_emb(x, positions)
        kept = []
        for layer, past in zip(trunk.layers, pasts, strict=True):
            mixed, pair = _attend(layer.self_attn, layer.input_layernorm(x), angles, past)
            x = x + mixed
            x = x + layer.mlp(layer.post_attention_layernorm(x))
            kept.append(pair)
        return trunk.norm(x), kept


def _attend(
    attention: Qwen2Attention, x: torch.Tensor, angles: Pair, past: _Past | None
) -> tuple[torch.Tensor, Pair]:
    """Self-attention over the row itself, or (with a past) of one token over all that went before."""
    shape = (*x.shape[:2], -1, attention.head_dim)
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    query, key, value = (part(x).view(shape).transpose(1, 2) for part in parts)
    query, key = apply_rotary_pos_emb(query, key, *angles)
    if past is None:
        out = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    else:
        past.pair[0][:, :, past.column], past.pair[1][:, :, past.column] = key[:, :, 0], value[:, :, 0]
        key, value = (part[:, :, : past.column + 1] for part in past.pair)
        out = _look(query, key, value, past.visible[:, None, None, : past.column + 1])
    mixed: torch.Tensor = attention.o_proj(out.transpose(1, 2).reshape(*x.shape[:2], -1))
    return mixed, (key, value)


def _grow(cache: torch.Tensor, n: int) -> torch.Tensor:
    """Room for the new tokens, and every row n times."""
    return torch.nn.functional.pad(cache, (0, 0, 0, MOST_TOKENS)).repeat_interleave(n, 0)


def _look(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """Attention of one token per row, by plain products."""
    heads, size = query.shape[1], query.shape[-1]
    grouped = query.reshape(len(query), key.shape[1], -1, size)
    scores = (grouped @ key.transpose(2, 3)) * size**-0.5
    weights: torch.Tensor = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return (weights @ value).reshape(len(query), heads, 1, size)


def sharpen(model: Qwen2ForCausalLM, factor: float) -> None:
    """Multiplies all logits: temperature 1 then draws what temperature 1/factor drew before."""
    with torch.no_grad():
        model.model.norm.weight.mul_(factor)


def load(
    folder: str, seed: int, rows: int = 256, factor: float = 1.0, stops: Collection[int] = ()
) -> Sampler:
    """The policy of a folder, in float32, its logits multiplied by `factor`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Qwen2ForCausalLM = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.requires_grad_(requires_grad=False).train(mode=False)
    sharpen(model, factor)
    torch.nn.Module.to(model, device)
    return Sampler(model, seed, rows, stops)


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Consecutive slices of this size."""
    return (items[start : start + size] for start in range(0, len(items), size))
