"""What both trainings share: seeds, device, optimiser, schedule, checkpoints."""

import logging
import math
import os
import random
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn

IGNORED = -100
LOG = logging.getLogger("lab")


def prepare(seed: int, threads: int) -> torch.device:
    """Seeds everything, sets the threads, and says where to compute."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_threads() -> int:
    """As many as OMP_NUM_THREADS says, else two."""
    return int(os.environ.get("OMP_NUM_THREADS", "2"))


def mixed(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 products: three times as fast as float32 on a core with avx512_bf16."""
    return torch.autocast(device.type, dtype=torch.bfloat16)


def adam(model: nn.Module, rate: float) -> torch.optim.AdamW:
    """AdamW; only matrices decay."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)


class Optimisers:
    """Muon for the matrices inside the layers, AdamW for the rest, behind one face."""

    def __init__(self, model: nn.Module, rate: float) -> None:
        inner = [
            p
            for name, p in model.named_parameters()
            if p.ndim == 2 and "embed" not in name and "score.2" not in name
        ]
        known = {id(p) for p in inner}
        outer = [p for p in model.parameters() if id(p) not in known]
        muon = torch.optim.Muon(inner, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
        self.parts = [
            muon,
            torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        ]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        """One step of both."""
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of both."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The state of both, by number."""
        return {str(index): part.state_dict() for index, part in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        for index, part in enumerate(self.parts):
            part.load_state_dict(state[str(index)])


def rate_at(step: int, steps: int, peak: float, warmup: int = 60, floor: float = 0.05) -> float:
    """Linear warm-up, then a cosine down to `floor` times the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def update(
    model: nn.Module, optimiser: torch.optim.Optimizer | Optimisers, loss: torch.Tensor, rate: float
) -> None:
    """One clipped optimiser step."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def save_state(
    path: Path, step: int, model: nn.Module, optimiser: torch.optim.Optimizer | Optimisers
) -> None:
    """Writes the training state in one piece, so that a killed run can go on from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save({"step": step, "model": model.state_dict(), "optimiser": optimiser.state_dict()}, part)
    part.rename(path)


def load_state(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer | Optimisers) -> int:
    """Restores the training state; returns the number of steps already done, 0 without a file."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
