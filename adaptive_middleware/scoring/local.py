"""A process reward model in this process, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
        rendered = [render(self._family.layout, request.text, path.steps, self._window) for path in paths]
        outputs = self._outputs([row for rows, _ in rendered for row in rows])
        decoded = iter([tuple(map(self._family.decode, output)) for output in outputs])
        return [_scores(rows, first, decoded) for rows, first in rendered]

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


def _scores(rows: Sequence[Row], first: int, decoded: Iterator[tuple[float, ...]]) -> StepScores:
    values = tuple(value for _ in rows for value in next(decoded))
    return StepScores(values, first=first, tokens=sum(len(row.ids) for row in rows))


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
    place, number = pretrained.device_and_dtype(device, dtype)
    checkpoint = pretrained.find(model, sha256)
    options = Options.of(checkpoint.config)
    built, network = _network(checkpoint, family, options, place, number)
    window = min(max_length, pretrained.window_of(network.trunk) or max_length)
    name = options.id or pretrained.name_of(model, checkpoint)
    return LocalScorer(name, built, network, window=window, batch_tokens=batch_tokens, origin=origin)


def _network(
    checkpoint: Checkpoint, family: str | None, options: Options, place: torch.device, dtype: torch.dtype
) -> tuple[Family, heads.StepModel]:
    build, head_of = _parts(family or options.name or detect_family(checkpoint))
    tokenizer = pretrained.load_tokenizer(checkpoint)
    built = build(tokenizer, options)
    trunk = heads.load_trunk(checkpoint, place, dtype)
    head = head_of(checkpoint) if head_of else heads.label_head(checkpoint, trunk, built.labels)
    return built, heads.StepModel(trunk, head.to(place), tokenizer.pad_token_id or 0)


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
