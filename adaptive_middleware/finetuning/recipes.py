"""Recipes: how a process reward model is fine-tuned, as data; the paper's by name, and ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import expm1, log
from types import MappingProxyType

from adaptive_middleware.calibration.fit import LEVELS
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.scoring.quantiles_folder import Adapter

_FIRST_SPREAD, _FIRST_GAP = 8.0, 0.5


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to fine-tune.

    `shape` is one of `scoring.quantiles_reading.SHAPES`, with quantiles at `levels`. Low-rank matrices (`rank`,
    `alpha`, `dropout`) go into the query and value projections of every `every`-th layer and into the head; `trained_output` trains
    the output layer itself instead of a low-rank change of it. `rate`, and `feature_rate` for the weights of the features, fall linearly to 0 over `epochs`; `batch` examples make a
    step. `finished` answers take part or not; with `features` the head is told kind, length and log-probabilities of a path. `folds` is how many
    times a part of the problems is kept from training, to correct the quantiles on (0: no correction).
    """

    name: str
    shape: str
    levels: tuple[float, ...]
    rank: int
    alpha: int
    dropout: float
    every: int
    rate: float
    feature_rate: float
    epochs: int
    batch: int
    finished: bool
    features: bool
    trained_output: bool
    folds: int

    @property
    def rows(self) -> list[tuple[float, float]]:
        """(scale, offset) with which each output of the head begins: see `quantiles_heads.quantile_head`."""
        if self.shape == "independent":
            return [(1.0, 0.0)] * len(self.levels)
        if self.shape == "beta":
            return [(1.0, 0.0), (0.0, log(_FIRST_SPREAD))]
        middle = len(self.levels) // 2
        gap = (0.0, log(expm1(_FIRST_GAP)))
        return [(1.0, 0.0)] + [(1.0, 0.0) if i == middle else gap for i in range(len(self.levels))]

    def adapter(self, layers: int, head_modules: tuple[str, ...]) -> Adapter:
        """The adapter for a trunk of so many layers."""
        modules = ("q_proj", "v_proj", "embed_tokens", *head_modules)
        if self.trained_output:
            modules = ("q_proj", "v_proj", *head_modules[:-1])
        return Adapter(self.rank, self.alpha, self.dropout, modules, chosen_layers(layers, self.every))


def chosen_layers(layers: int, every: int) -> tuple[int, ...]:
    """Indices of every `every`-th layer of `layers`, beginning with the first whole stride; the last one where there is none.

    >>> chosen_layers(28, 4), chosen_layers(7, 4), chosen_layers(2, 4)
    ((3, 7, 11, 15, 19, 23, 27), (3,), (1,))
    """
    return tuple(range(every - 1, layers, every)) or (layers - 1,)


PARK_2025 = Recipe(
    name="park-2025", shape="independent", levels=(0.1, 0.5, 0.9), rank=2, alpha=32, dropout=0.1, every=4, rate=1e-4,
    feature_rate=0.0, epochs=3, batch=32, finished=False, features=False, trained_output=False, folds=0,
)  # fmt: skip
"""Park et al. 2025 (arXiv 2506.09338) and their code (young-j-park/prm-calibration), as `docs/finetuning.md` compares it."""

MONOTONE = Recipe(
    name="monotone", shape="beta", levels=LEVELS, rank=4, alpha=16, dropout=0.1, every=2, rate=5e-5,
    feature_rate=1e-3, epochs=1, batch=32, finished=True, features=True, trained_output=True, folds=2,
)  # fmt: skip
"""Ours: quantiles that cannot cross, corrected on problems that the training did not see."""

RECIPES: Mapping[str, Recipe] = MappingProxyType({one.name: one for one in (PARK_2025, MONOTONE)})


def recipe(name: str) -> Recipe:
    """The recipe of this name; raises `ConfigError` for an unknown one."""
    if name not in RECIPES:
        message = f"unknown recipe {name!r}: choose one of {', '.join(RECIPES)}"
        raise ConfigError(message)
    return RECIPES[name]


Say = Callable[["Epoch"], None]
"""What is told after each epoch."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Progress in one `part` (a fold, or all problems): epoch `number` of `epochs` is over.

    With its mean training loss, the loss on the problems kept from this training, and the seconds since it began.
    """

    part: str
    number: int
    epochs: int
    loss: float
    held_out_loss: float | None
    seconds: float

    def __str__(self) -> str:
        kept = (
            "" if self.held_out_loss is None else f", on problems kept from training {self.held_out_loss:.4f}"
        )
        return f"{self.part}: epoch {self.number}/{self.epochs}: loss {self.loss:.4f}{kept}, {self.seconds:.0f} s"
