"""A fine-tuned process reward model in this process: base model, adapter and quantile head as one scorer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from adaptive_middleware.errors import BundleMismatch, CheckpointError
from adaptive_middleware.scoring import quantiles_heads as heads
from adaptive_middleware.scoring.device import Device
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.local import LocalScorer, Opened, Raw, open_model
from adaptive_middleware.scoring.quantiles import described, kinds_of
from adaptive_middleware.scoring.quantiles_folder import ADAPTER, HEAD, Manifest, open_folder
from adaptive_middleware.scoring.quantiles_reading import Reading, outputs_of
from adaptive_middleware.types import Path, Request, StepScores


@dataclass(frozen=True, slots=True, eq=False)
class QuantileScorer:
    """The `Scorer` port over a fine-tuned model: values are calibrated means, and each has its quantiles.

    `scoring.quantiles.quantile_estimate` is the calibrator for its scores. `id` differs from that of the base model, so
    that a post-hoc bundle of the one is refused for the other. A pickled scorer is loaded again by `origin`;
    a deep copy shares the model.
    """

    id: str
    inner: LocalScorer
    reading: Reading
    origin: Callable[[], QuantileScorer]

    @property
    def concurrent(self) -> Literal[True]:
        """That calls may come from any thread at the same moment."""
        return True

    def __reduce__(self) -> tuple[Callable[[], QuantileScorer], tuple[()]]:
        return self.origin, ()

    def __deepcopy__(self, memo: dict[int, object]) -> QuantileScorer:
        return self

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """Means and quantiles of all steps of all paths, in order; raises `ScorerError` as `LocalScorer` does."""
        return self._all(paths, self.inner.raw(request, paths))

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """As `score`; nothing of the model's work is done on the event loop."""
        return self._all(paths, await self.inner.araw(request, paths))

    def _all(self, paths: Sequence[Path], raws: Sequence[Raw]) -> list[StepScores]:
        return [self._read(path, raw) for path, raw in zip(paths, raws, strict=True)]

    def _read(self, path: Path, raw: Raw) -> StepScores:
        outputs = np.array(raw.outputs, dtype=np.float64)
        kinds = kinds_of(path, raw.first, len(raw.outputs))
        whole = [path.logprobs if steps == len(path.steps) else None for _, steps in kinds]
        told = [described(kind, steps, own) for (kind, steps), own in zip(kinds, whole, strict=True)]
        features = np.array(told)
        means, quantiles = self.reading(outputs, features, [kind for kind, _ in kinds])
        pairs = tuple(tuple(zip(self.reading.levels, row, strict=True)) for row in quantiles.tolist())
        return StepScores(tuple(means.tolist()), first=raw.first, tokens=raw.tokens, quantiles=pairs)


def load_quantile_scorer(  # noqa: PLR0913 - one keyword per setting of `prm` in the configuration
    folder: FilePath, model: str | FilePath, *, generator: str | None = None, family: str | None = None,
    device: str = "cpu", dtype: str = "float32", max_length: int = 4096, batch_tokens: int = 16384,
    sha256: str | Mapping[str, str] | None = None, kv_cache_mib: int = 1024, compile: str = "off",  # noqa: A002
    batch_invariant: bool = False,
) -> QuantileScorer:  # fmt: skip
    """Load the fine-tuned calibration in `folder` on top of the process reward model that it was made for.

    `generator` is the id of the sampled model, where it is to be checked; the other arguments are those of `load_scorer`.
    Raises `BundleMismatch` for a folder of another model, `CalibrationError` for a changed or foreign one, `CheckpointError` and
    `ConfigError` as `load_scorer` does, and `ConfigError` without peft.
    """
    origin = partial(
        load_quantile_scorer, folder, model, generator=generator, family=family, device=device, dtype=dtype,
        max_length=max_length, batch_tokens=batch_tokens, sha256=sha256, kv_cache_mib=kv_cache_mib,
        compile=compile, batch_invariant=batch_invariant,
    )  # fmt: skip
    opened = open_model(model, family=family, device=device, dtype=dtype, sha256=sha256)
    manifest = open_folder(folder, prm=opened.name, generator=generator)
    network = restored(opened, manifest, folder)
    engine = Device(
        network, kv_bytes=kv_cache_mib << 20, pack_tokens=batch_tokens, compile=compile,
        batch_invariant=batch_invariant,
    )  # fmt: skip
    inner = LocalScorer(opened.name, opened.family, engine, window=min(max_length, opened.window))
    name = f"{opened.name}+{manifest.files[ADAPTER][:6]}{manifest.files[HEAD][:6]}"
    return QuantileScorer(name, inner, manifest.reading, origin)


def restored(opened: Opened, manifest: Manifest, folder: FilePath) -> StepModel:
    """The opened model's network with the folder's head and adapter in place, in evaluation mode; errors as above."""
    network, reading = opened.network, manifest.reading
    if opened.kind != manifest.family:
        message = f"{folder} was fine-tuned on the family {manifest.family!r}, but {opened.kind!r} is in use: set `family`"
        raise BundleMismatch(message)
    count = outputs_of(reading.shape, len(reading.levels))
    network.head = heads.quantile_head(opened.kind, network.head, [(0.0, 0.0)] * count)
    heads.adapted(network, manifest.adapter)
    heads.fill(heads.low_rank(network), _tensors(folder / ADAPTER), str(folder / ADAPTER))
    heads.fill(heads.output_layer(network), _tensors(folder / HEAD), str(folder / HEAD))
    return network.eval()


def _tensors(path: FilePath) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        message = f"{path} cannot be read ({error}): restore the folder or fine-tune again"
        raise CheckpointError(message) from error
