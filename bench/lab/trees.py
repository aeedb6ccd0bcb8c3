"""Several answers to one question in one row: a prompt, a main path, and branches that leave it.

Every token sees the prompt, what came before it on its own path, and nothing of the other branches; so the
prompt and the shared steps are computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from bench.lab import text
from bench.lab.training import IGNORED


@dataclass(slots=True)
class Branch:
    """Tokens that follow the first `shared` tokens of the main path, and what the PRM should say at each."""

    shared: int
    tokens: list[int]
    targets: list[float]  # probability that the prefix up to and with this token is right (or ends right)
    weights: list[float]  # 0: not trained on
    language: list[bool] = field(default_factory=list)  # is the token worth predicting?


@dataclass(slots=True)
class Row:
    """A prompt and the answers to it."""

    prompt: list[int]
    branches: list[Branch]  # the first one is the main path

    def __len__(self) -> int:
        return len(self.prompt) + sum(len(branch.tokens) for branch in self.branches)


@dataclass(slots=True)
class Batch:
    """Rows as padded tensors."""

    tokens: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor  # (rows, 1, tokens, tokens), True where a token may look
    targets: torch.Tensor
    weights: torch.Tensor
    following: torch.Tensor  # the token to predict, or IGNORED

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        names = ("tokens", "positions", "mask", "targets", "weights", "following")
        return Batch(*(getattr(self, name).to(device) for name in names))


def _fill(
    row: Row, width: int
) -> tuple[list[int], list[int], list[int], list[int], list[float], list[float], list[int]]:
    start = len(row.prompt)
    tokens, positions = list(row.prompt), list(range(start))
    segments, limits = [0] * start, [0] * start
    targets, weights, following = [0.0] * start, [0.0] * start, [IGNORED] * start
    for number, branch in enumerate(row.branches, start=1):
        size, before = len(branch.tokens), len(tokens) - 1
        tokens += branch.tokens
        positions += range(start + branch.shared, start + branch.shared + size)
        segments += [number] * size
        limits += [branch.shared] * size
        targets, weights = targets + branch.targets, weights + branch.weights
        following += [IGNORED] * size
        for offset, wanted in enumerate(branch.language):
            if wanted and (offset or number == 1):
                following[before + offset] = branch.tokens[offset]
    pad = width - len(tokens)
    return (
        tokens + [text.tokenizer().pad_token_id] * pad, positions + [0] * pad, segments + [-1] * pad, limits + [0] * pad,
        targets + [0.0] * pad, weights + [0.0] * pad, following + [IGNORED] * pad,
    )  # fmt: skip


def pack(rows: Sequence[Row]) -> Batch:
    """The rows as one padded batch."""
    width = -(-max(map(len, rows)) // 16) * 16  # few distinct shapes: a CPU compiles its products for each
    columns = [torch.tensor(column) for column in zip(*(_fill(row, width) for row in rows), strict=True)]
    tokens, positions, segments, limits, targets, weights, following = columns
    starts = torch.tensor([len(row.prompt) for row in rows])[:, None]
    index = torch.arange(width)
    causal = index[:, None] >= index[None, :]
    own = segments[:, :, None] == segments[:, None, :]
    prompt = (segments == 0)[:, None, :]
    on_main_path = torch.where(segments == 1, index[None, :] - starts, width)
    shared = on_main_path[:, None, :] < limits[:, :, None]
    mask = causal & (own | prompt | shared)
    return Batch(tokens, positions, mask[:, None], targets, weights, following)
