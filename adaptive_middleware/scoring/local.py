"""A process reward model in this process, on a CPU or a GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import torch

from adaptive_middleware import pretrained
from adaptive_middleware.checkpoint import Checkpoint
from adaptive_middleware.errors import CheckpointError, ScorerError
from adaptive_middleware.scoring import families, heads
from adaptive_middleware.scoring.families import Family, Options
from adaptive_middleware.scoring.rows import Row, render
from adaptive_middleware.types import Path, Request, StepScores

Forward = Callable[[Sequence[Row]], Sequence[Sequence[float]]]
"""Rows in, the head's outputs at all their positions out, row after row."""

FAMILIES = ("qwen-math-prm", "skywork-prm", "reasoneval", "math-shepherd", "rlhflow", "judge")


@dataclass(frozen=True, slots=True)
class Raw:
    """What the head said of one path: its outputs for each scored step; `first` and `tokens` as in `StepScores`."""

    outputs: tuple[Sequence[float], ...]
    first: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A loaded process reward model: how reports call it, its family by name and as read, its network and window."""

    name: str
    kind: str
    family: Family
    network: heads.StepModel
    window: int


class LocalScorer:
    """The `Scorer` port over a local model; `id` names the model in calibration bundles.

    Rows are ordered by length and padded into batches of at most `batch_tokens` tokens. Rows longer than
    `window` tokens lose their earliest steps. A pickled scorer is loaded again by `origin`; a deep copy
    shares the model.
    """

    def __init__(  # noqa: PLR0913 - keywords
        self,
        name: str,
        family: Family,
        forward: Forward,
        *,
        window: int,
        batch_tokens: int,
        origin: Callable[[], LocalScorer] | None = None,
    ) -> None:
        self.id = name
        self._family, self._forward = family, forward
        self._window, self._batch_tokens = window, batch_tokens
        self._origin = origin

    def __reduce__(self) -> tuple[Callable[[], LocalScorer], tuple[()]]:
        if self._origin is None:
            message = f"the scorer {self.id!r} was not built by load_scorer and cannot be pickled"
            raise TypeError(message)
        return self._origin, ()

    def __deepcopy__(self, memo: dict[int, object]) -> LocalScorer:
        return self

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """Scores of all paths; a path without steps is the question with one empty step.

        Raises `ScorerError` when the device has not enough memory even for half a batch, or when the
        window has no room for the prompt.
        """
        return [
            StepScores(tuple(map(self._family.decode, raw.outputs)), first=raw.first, tokens=raw.tokens)
            for raw in self.raw(request, paths)
        ]

    def raw(self, request: Request, paths: Sequence[Path]) -> list[Raw]:
        """The head's outputs for all paths, not decoded; raises as `score` does."""
        rendered = [render(self._family.layout, request.text, path.steps, self._window) for path in paths]
        outputs = iter(self._outputs([row for rows, _ in rendered for row in rows]))
        return [
            Raw(
                tuple(output for _ in rows for output in next(outputs)),
                first,
                sum(len(row.ids) for row in rows),
            )
            for rows, first in rendered
        ]

    def _outputs(self, rows: Sequence[Row]) -> list[Sequence[Sequence[float]]]:
        """For each row the head's outputs at its positions."""
        outputs: list[Sequence[Sequence[float]]] = [()] * len(rows)
        for batch in _batches([len(row.ids) for row in rows], self._batch_tokens):
            values = self._careful([rows[index] for index in batch])
            for index in batch:
                count = len(rows[index].positions)
                outputs[index], values = values[:count], values[count:]
        return outputs

    def _careful(self, rows: Sequence[Row]) -> Sequence[Sequence[float]]:
        """The outputs of one batch, by halves when the device ran out of memory."""
        try:
            return self._checked(rows)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        half = len(rows) // 2
        try:
            return [output for part in (rows[:half], rows[half:]) if part for output in self._checked(part)]
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            tokens = max(len(row.ids) for row in rows)
            message = f"no memory to score {len(rows)} rows of up to {tokens} tokens by halves: lower batch_tokens or max_length"
            raise ScorerError(message) from error

    def _checked(self, rows: Sequence[Row]) -> Sequence[Sequence[float]]:
        outputs = self._forward(rows)
        expected = sum(len(row.positions) for row in rows)
        if len(outputs) != expected:
            message = (
                f"the model gave {len(outputs)} outputs for {expected} steps: please report this as a bug"
            )
            raise ScorerError(message)
        return outputs


def _batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Indices grouped by falling length so that rows x longest <= `tokens`, one row at least.

    >>> _batches([2, 9, 3, 8], 18)
    [[1, 3], [2, 0]]
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def load_scorer(  # noqa: PLR0913 - one keyword per setting of `prm` in the configuration
    model: str | FilePath, *, family: str | None = None, device: str = "cpu", dtype: str = "float32",
    max_length: int = 4096, batch_tokens: int = 16384, sha256: str | Mapping[str, str] | None = None,
) -> LocalScorer:  # fmt: skip
    """Load a process reward model from a folder, or by its hub name.

    `family` is one of `FAMILIES`; without it, `adaptive_family.name` in the model's config.json or the
    names of its tensors decide. `dtype` is float32, bfloat16 or float16 and concerns the trunk.
    `max_length` is the longest row in tokens, `batch_tokens` the most padded tokens computed at once.
    `sha256` is described in `checkpoint.open_checkpoint`. Raises `CheckpointError` and `ConfigError`.
    """
    origin = partial(
        load_scorer, model, family=family, device=device, dtype=dtype, max_length=max_length,
        batch_tokens=batch_tokens, sha256=sha256,
    )  # fmt: skip
    opened = open_model(model, family=family, device=device, dtype=dtype, sha256=sha256)
    window = min(max_length, opened.window)
    return LocalScorer(
        opened.name, opened.family, opened.network, window=window, batch_tokens=batch_tokens, origin=origin
    )


def open_model(
    model: str | FilePath, *, family: str | None = None, device: str = "cpu", dtype: str = "float32",
    sha256: str | Mapping[str, str] | None = None,
) -> Opened:  # fmt: skip
    """The parts of a process reward model; arguments and errors are those of `load_scorer`."""
    place, number = pretrained.device_and_dtype(device, dtype)
    checkpoint = pretrained.find(model, sha256)
    options = Options.of(checkpoint.config)
    kind = family or options.name or detect_family(checkpoint)
    build, head_of = _parts(kind)
    tokenizer = pretrained.load_tokenizer(checkpoint)
    built = build(tokenizer, options)
    trunk = heads.load_trunk(checkpoint, place, number)
    head = head_of(checkpoint) if head_of else heads.label_head(checkpoint, trunk, built.labels)
    network = heads.StepModel(trunk, head.to(place), tokenizer.pad_token_id or 0)
    name = options.id or pretrained.name_of(model, checkpoint)
    return Opened(name, kind, built, network, pretrained.window_of(trunk) or sys.maxsize)


def detect_family(checkpoint: Checkpoint) -> str:
    """The family that the checkpoint's tensor names give away; raises `CheckpointError` where none does."""
    signs = {
        "score.2.weight": "qwen-math-prm",
        "v_head.summary.weight": "skywork-prm",
        "score_head.weight": "reasoneval",
    }
    found = [family for tensor, family in signs.items() if tensor in checkpoint.files]
    if len(found) != 1:
        message = f"the family of {str(checkpoint.folder)!r} cannot be told from its tensors: set `family` to one of {', '.join(FAMILIES)}"
        raise CheckpointError(message)
    return found[0]


def _parts(
    name: str,
) -> tuple[Callable[[object, Options], Family], Callable[[Checkpoint], torch.nn.Module] | None]:
    match name:
        case "qwen-math-prm":
            return families.qwen_math_prm, heads.class_head
        case "skywork-prm":
            return families.skywork_prm, heads.value_head
        case "reasoneval":
            return families.reasoneval, heads.validity_head
        case "math-shepherd":
            return families.math_shepherd, None
        case "rlhflow":
            return families.rlhflow, None
        case "judge":
            return families.judge, None
    message = f"unknown family {name!r}: choose one of {', '.join(FAMILIES)}"
    raise CheckpointError(message)
