"""A process reward model in this process, on a CPU or a GPU."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Literal

import torch

from adaptive_middleware import pretrained
from adaptive_middleware.checkpoint import Checkpoint
from adaptive_middleware.deadline import Deadline
from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.scoring import families, heads
from adaptive_middleware.scoring.computed import Computed, Engine
from adaptive_middleware.scoring.device import Device
from adaptive_middleware.scoring.families import Family, Options
from adaptive_middleware.scoring.rows import Row, render
from adaptive_middleware.types import Path, Request, StepScores

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
    """The `Scorer` and `AsyncScorer` ports over a local model; `id` names the model in calibration bundles.

    Calls from any thread or task at the same moment are computed together by `device`. Rows longer than `window`
    tokens lose their earliest steps. A pickled scorer is loaded again by `origin`; a deep copy shares the model.
    """

    def __init__(
        self,
        name: str,
        family: Family,
        device: Engine,
        *,
        window: int,
        origin: Callable[[], LocalScorer] | None = None,
    ) -> None:
        self.id, self.device = name, device
        self._family, self._window, self._origin = family, window, origin

    @property
    def concurrent(self) -> Literal[True]:
        """That calls may come from any thread at the same moment."""
        return True

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
        window has no room for the prompt, and `TimeoutError` at the request's deadline.
        """
        return [self._decoded(raw) for raw in self.raw(request, paths)]

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """As `score`; nothing is done on the event loop but waiting."""
        return [self._decoded(raw) for raw in await self.araw(request, paths)]

    def raw(self, request: Request, paths: Sequence[Path]) -> list[Raw]:
        """The head's outputs for all paths, not decoded; raises as `score` does."""
        rendered = self._rendered(request, paths)
        computed = self.device.submit([row for rows, _ in rendered for row in rows])
        try:
            return _raw(rendered, computed.result(Deadline(request.deadline).seconds()))
        finally:
            computed.cancel()  # where the deadline came first: not begun, it costs nothing

    async def araw(self, request: Request, paths: Sequence[Path]) -> list[Raw]:
        """As `raw`."""
        rendered = await asyncio.to_thread(self._rendered, request, paths)
        computed = self.device.submit([row for rows, _ in rendered for row in rows])
        return _raw(rendered, await asyncio.wrap_future(computed))

    def _rendered(self, request: Request, paths: Sequence[Path]) -> list[tuple[list[Row], int]]:
        return [render(self._family.layout, request.text, path.steps, self._window) for path in paths]

    def _decoded(self, raw: Raw) -> StepScores:
        return StepScores(tuple(map(self._family.decode, raw.outputs)), first=raw.first, tokens=raw.tokens)


def _raw(rendered: Sequence[tuple[Sequence[Row], int]], computed: Computed) -> list[Raw]:
    found, at = [], 0
    for rows, first in rendered:
        end = at + len(rows)
        outputs = tuple(output for outputs in computed.outputs[at:end] for output in outputs)
        found.append(Raw(outputs, first, sum(computed.tokens[at:end])))
        at = end
    return found


def load_scorer(  # noqa: PLR0913 - one keyword per setting of `prm` in the configuration
    model: str | FilePath, *, family: str | None = None, device: str = "cpu", dtype: str = "float32",
    max_length: int = 4096, batch_tokens: int = 16384, sha256: str | Mapping[str, str] | None = None,
    kv_cache_mib: int = 1024, compile: str = "off", batch_invariant: bool = False,  # noqa: A002
) -> LocalScorer:  # fmt: skip
    """Load a process reward model from a folder, or by its hub name.

    `family` is one of `FAMILIES`; without it, `adaptive_family.name` in the model's config.json or the
    names of its tensors decide. `dtype` is float32, bfloat16 or float16 and concerns the trunk.
    `max_length` is the longest row in tokens, `batch_tokens` the most tokens computed at once, `kv_cache_mib` the
    room for keys and values of prefixes. `compile` and `batch_invariant` are those of `device.Device`.
    `sha256` is described in `checkpoint.open_checkpoint`. Raises `CheckpointError` and `ConfigError`.
    """
    origin = partial(
        load_scorer, model, family=family, device=device, dtype=dtype, max_length=max_length,
        batch_tokens=batch_tokens, sha256=sha256, kv_cache_mib=kv_cache_mib, compile=compile,
        batch_invariant=batch_invariant,
    )  # fmt: skip
    opened = open_model(model, family=family, device=device, dtype=dtype, sha256=sha256)
    engine = Device(
        opened.network, kv_bytes=kv_cache_mib << 20, pack_tokens=batch_tokens, compile=compile,
        batch_invariant=batch_invariant,
    )  # fmt: skip
    window = min(max_length, opened.window)
    return LocalScorer(opened.name, opened.family, engine, window=window, origin=origin)


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
