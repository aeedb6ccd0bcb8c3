"""A language model in this process, as a sampler."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LogitsProcessorList

from adaptive_middleware import pretrained
from adaptive_middleware.sampling.drawn import Drawn, step_ends
from adaptive_middleware.sampling.language import Generation, Language
from adaptive_middleware.sampling.seeds import mixed, seeded
from adaptive_middleware.sampling.token_logprobs import Record
from adaptive_middleware.steps import split_steps
from adaptive_middleware.types import Path, Request, Usage

__all__ = ["Generation", "LocalSampler", "load_sampler"]


class LocalSampler:
    """The `Sampler` port over a causal language model: n answers in one batched generation with a KV cache.

    Prompts are the chat template of `request.messages` where these are dicts with role and content, else
    of `request.text`; a tokenizer without a template gets the bare text. `logprobs` of a path are the
    natural log-probabilities of its tokens, its end token included, in the model's own distribution:
    before temperature and top-p. `raw` is the text. One call at a time owns the device and, while it
    draws, torch's random state, which it restores.
    """

    def __init__(
        self,
        name: str,
        model: Any,  # noqa: ANN401 - a transformers model
        tokenizer: Any,  # noqa: ANN401
        generation: Generation | None = None,
        *,
        origin: Callable[[], LocalSampler] | None = None,
    ) -> None:
        generation = generation or Generation()
        self.id, self.language = name, Language(name, model, tokenizer, generation)
        self._seed = secrets.randbits(64) if generation.seed is None else generation.seed
        self._calls, self._origin = 0, origin

    def __reduce__(self) -> tuple[Callable[[], LocalSampler], tuple[()]]:
        if self._origin is None:
            message = f"the sampler {self.id!r} was not built by load_sampler and cannot be pickled"
            raise TypeError(message)
        return self._origin, ()

    def __deepcopy__(self, memo: dict[int, object]) -> LocalSampler:
        return self

    def sample(self, request: Request, n: int) -> list[Path]:
        """`n` independent answers; raises `SamplerError` for an empty prompt or one that fills the window.

        The first path carries the prompt tokens and the request count, every path its own tokens.
        """
        with self.language.device:
            prompt = self.language.prompt(request)
            room = self.language.room(len(prompt))
            self._calls += 1
            with seeded(mixed(self._seed, self._calls, prompt)):
                tokens, logprobs = self._generate([prompt] * n, room)
        answers = zip(tokens, logprobs, strict=True)
        return [self._path(ids, logs, len(prompt) if k == 0 else 0) for k, (ids, logs) in enumerate(answers)]

    def extend(self, request: Request, prefixes: Sequence[str], n: int, seed: int) -> list[list[Drawn]]:
        """`n` answers that begin with each prefix ("" for whole answers), all in one generation.

        A prefix is tokenised by itself, with nothing special in it, and follows the prompt id by id. The limit
        of tokens is for prefix and continuation together. `seed` alone decides what is drawn, whatever was
        drawn before; the first answer of each prefix carries its prompt tokens. Raises as `sample`.
        """
        with self.language.device:
            prompt = self.language.prompt(request)
            room = self.language.room(len(prompt))
            starts = [self.language.plain(prefix) for prefix in prefixes]
            rows = [[*prompt, *start] for start in starts for _ in range(n)]
            with seeded(mixed(seed, 0, prompt)):
                tokens, logprobs = self._generate(rows, max(1, *(room - len(start) for start in starts)))
        answers = list(zip(tokens, logprobs, strict=True))
        groups = [answers[k * n : (k + 1) * n] for k in range(len(prefixes))]
        return [
            [self._drawn(text, ids[: max(room - len(start), 0)], logs, start, len(prompt) * (k == 0))
             for k, (ids, logs) in enumerate(group)]
            for text, start, group in zip(prefixes, starts, groups, strict=True)
        ]  # fmt: skip

    def _drawn(
        self, prefix: str, ids: list[int], logprobs: list[float], start: list[int], prompt: int
    ) -> Drawn:
        """The answer of `prefix` (tokens `start`) and `ids`, which were drawn."""
        tail = self._path(ids, logprobs[: len(ids)], prompt and prompt + len(start))
        whole = self.language.text([*start, *ids])
        text = whole if whole.startswith(prefix) else prefix + tail.text
        path = replace(tail, steps=tuple(split_steps(text)), raw=text)
        if prefix:
            return Drawn(path)
        return Drawn(path, step_ends(path.steps, len(ids), lambda count: self.language.text(ids[:count])))

    @torch.inference_mode()
    def _generate(
        self, rows: Sequence[Sequence[int]], room: int
    ) -> tuple[list[list[int]], list[list[float]]]:
        """Token ids after each row, without padding, and their log-probabilities."""
        width = max(map(len, rows))
        ids = torch.tensor(
            [[0] * (width - len(row)) + list(row) for row in rows], device=self.language.model.device
        )
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=ids.device)
        record = Record()
        out = self.language.model.generate(
            ids,
            attention_mask=mask,
            generation_config=self._config(room),
            logits_processor=LogitsProcessorList([record]),
        )
        record.close(out)
        tokens = [self._until_end(row) for row in out[:, width:].tolist()]
        logprobs = torch.stack(record.taken, dim=-1).tolist()
        return tokens, [logs[: len(row)] for logs, row in zip(logprobs, tokens, strict=True)]

    def _config(self, room: int) -> GenerationConfig:
        settings = self.language.generation
        how: dict[str, Any] = {"do_sample": False}
        if settings.temperature > 0:
            how = {
                "do_sample": True,
                "temperature": settings.temperature,
                "top_p": settings.top_p,
                "top_k": 0,
            }
        padding = self.language.ends[0] if self.language.ends else 0
        return GenerationConfig(
            max_new_tokens=room, eos_token_id=self.language.ends, pad_token_id=padding, **how
        )  # type: ignore[no-untyped-call]

    def _until_end(self, ids: list[int]) -> list[int]:
        ends = [index for index, token in enumerate(ids) if token in self.language.ends]
        return ids[: ends[0] + 1] if ends else ids

    def _path(self, ids: list[int], logprobs: list[float], prompt: int) -> Path:
        ended = bool(ids) and ids[-1] in self.language.ends
        text = self.language.text(ids[:-1] if ended else ids)
        return Path(
            tuple(split_steps(text)),
            done=ended,
            finish_reason="stop" if ended else "length",
            logprobs=tuple(logprobs),
            usage=Usage(prompt_tokens=prompt, completion_tokens=len(ids), requests=int(prompt > 0)),
            raw=text,
        )


def load_sampler(  # noqa: PLR0913 - one keyword per setting of the sampler in the configuration
    model: str | FilePath, *, device: str = "cpu", dtype: str = "float32", temperature: float = 1.0,
    top_p: float = 1.0, max_new_tokens: int = 512, seed: int | None = None,
    sha256: str | Mapping[str, str] | None = None,
) -> LocalSampler:  # fmt: skip
    """Load a causal language model from a folder, or by its hub name.

    `dtype` is float32, bfloat16 or float16; the settings of generation are those of `Generation`; `sha256`
    is described in `checkpoint.open_checkpoint`. Raises `CheckpointError` and `ConfigError`.
    """
    generation = Generation(temperature, top_p, max_new_tokens, seed)
    origin = partial(
        load_sampler, model, device=device, dtype=dtype, temperature=temperature, top_p=top_p,
        max_new_tokens=max_new_tokens, seed=seed, sha256=sha256,
    )  # fmt: skip
    place, number = pretrained.device_and_dtype(device, dtype)
    checkpoint = pretrained.find(model, sha256)
    tokenizer = pretrained.load_tokenizer(checkpoint)
    network = pretrained.load_model(AutoModelForCausalLM, checkpoint, place, number)
    return LocalSampler(pretrained.name_of(model, checkpoint), network, tokenizer, generation, origin=origin)
