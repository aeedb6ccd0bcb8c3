"""Log-probabilities of drawn tokens, noted while a language model generates."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor


class Record(LogitsProcessor):
    """Notes the log-probability of each token drawn, keeping one step of the vocabulary in memory.

    Custom processors run before temperature and top-p, so this sees the model's own distribution.
    """

    def __init__(self) -> None:
        self.taken: list[torch.Tensor] = []
        self._open: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: D102
        self.close(input_ids)
        self._open = scores.float().log_softmax(-1)
        return scores

    def close(self, input_ids: torch.Tensor) -> None:
        """Look up the last token of each row in the distribution that it was drawn from."""
        if self._open is not None:
            self.taken.append(self._open.gather(-1, input_ids[:, -1:]).squeeze(-1))
