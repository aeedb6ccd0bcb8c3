"""A language model in this process, read step by step: answers that are begun, advanced, forked and dropped."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.choice import choose
from adaptive_middleware.sampling.local import LocalSampler
from adaptive_middleware.sampling.ragged import Batch, cut, nbytes, read
from adaptive_middleware.sampling.seeds import mixed
from adaptive_middleware.sampling.writing import Prompt, Writing
from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.steps import Boundary
from adaptive_middleware.types import Path, Request, Usage


class LocalStreamer:
    """The `Streamer` and `Extender` ports over the model of a `LocalSampler`.

    A prompt is read once for all its answers; those begun later count it as cached. Answers go on together, one token at a time; each holds keys and values
    of its own tokens only, in its path, so that forgetting the path frees them. `boundary` says what divides steps
    (`steps.split_steps`). What an answer draws depends on the sampler's seed, the number of its call and its own, never
    on which others are open. One call at a time owns the device.
    """

    def __init__(self, sampler: LocalSampler, boundary: Boundary = "auto") -> None:
        self.id, self._language, self._boundary = sampler.id, sampler.language, boundary
        seed = sampler.language.generation.seed
        self._seed = secrets.randbits(64) if seed is None else seed
        self._calls = 0
        self._prompts: weakref.WeakValueDictionary[tuple[int, ...], Prompt] = weakref.WeakValueDictionary()
        self._open: weakref.WeakSet[Writing] = weakref.WeakSet()

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values held now, by prompts and open answers."""
        return nbytes(list(self._prompts.values())) + sum(writing.nbytes for writing in list(self._open))

    def begin(self, request: Request, n: int) -> list[Path]:
        """`n` open answers, nothing drawn; raises `SamplerError` for an empty prompt or one that fills the window."""
        with self._language.device:
            return [writing.path() for writing in self._begun(request, n)]

    def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        """Each path one closed step further, or ended, all as one batch."""
        return self.advance_until(request, paths, threading.Event())

    def advance_until(self, request: Request, paths: Sequence[Path], stop: threading.Event) -> list[Path]:  # noqa: ARG002
        """As `advance`, until `stop` is set: then the paths come back as they are, with what was drawn since kept."""
        writings = [_writing(path) for path in paths]
        if any(one is None and not path.ended for one, path in zip(writings, paths, strict=True)):
            message = "an answer that was dropped, or begun elsewhere, cannot be read on: begin another, or extend it"
            raise SamplerError(message)
        reading = [one for one in writings if one is not None and one.reading]
        with self._language.device:
            self._draw(reading, stop)
        return [
            path
            if writing is None
            else writing.path()
            if stop.is_set() and writing.reading
            else writing.next_step()
            for path, writing in zip(paths, writings, strict=True)
        ]

    def follow(self, request: Request, path: Path) -> Iterator[Path]:  # noqa: ARG002
        """The path, a token longer each time, to its end."""
        writing = _writing(path)
        while writing is not None and not path.ended:
            if writing.reason is None:
                with self._language.device:
                    self._draw([writing], threading.Event(), tokens=1)
            while writing.closed:
                writing.next_step()
            path = writing.path(tail=True) if writing.reason is None else writing.next_step()
            yield path

    def drop(self, request: Request, paths: Sequence[Path]) -> list[Path]:  # noqa: ARG002
        """The paths with what they cost; their keys and values are given back at once."""
        return [_settled(path) for path in paths]

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        """`fanout` continuations of each path by one step, as one batch.

        A path from elsewhere, or one that was dropped, is read anew from its text. The first continuation keeps what was
        drawn of the next step to know that the last one had ended; the others draw it themselves.
        """
        with self._language.device:
            writings = [fork for path in paths for fork in self._forks(request, path, fanout)]
            before = [len(writing.ids) for writing in writings]
            self._draw([writing for writing in writings if writing.reading], threading.Event())
        longer = [writing.next_step() for writing in writings]
        return [
            replace(path, usage=writing.cost + Usage(completion_tokens=len(writing.ids) - count))
            for path, writing, count in zip(longer, writings, before, strict=True)
        ]

    def _begun(self, request: Request, n: int) -> list[Writing]:
        prompt = self._prompt(request)
        self._calls += 1
        key = mixed(self._seed, self._calls, prompt.ids)
        writings = [Writing(prompt, self._boundary, f"{key}:{k}", ()) for k in range(n)]
        count = len(prompt.ids)
        writings[0].cost = Usage(count, cached_tokens=count if prompt.used else 0, requests=1)
        prompt.used = True
        self._open.update(writings)
        return writings

    @torch.inference_mode()
    def _prompt(self, request: Request) -> Prompt:
        ids = tuple(self._language.prompt(request))
        known = self._prompts.get(ids)
        if known is None:
            room = self._language.room(len(ids))
            known = Prompt(ids, room, *read(self._language.model, ids))
            self._prompts[ids] = known
        return known

    @torch.inference_mode()
    def _draw(self, writings: Sequence[Writing], stop: threading.Event, tokens: int = 1 << 30) -> None:
        """Draw for each until its next step is closed or it has ended, at most `tokens` each."""
        fresh = [one for one in writings if not one.ids]
        self._take(fresh, None)
        for prompt in dict.fromkeys(one.prompt for one in writings):
            going = [one for one in writings if one.prompt is prompt and one.reading]
            drawn = int(bool(fresh))
            batch = Batch(self._language.model, prompt, going) if going else None
            while batch is not None and batch.writings and drawn < tokens and not stop.is_set():
                self._take(batch.writings, batch.feed())
                drawn += 1
                batch.leave([k for k, one in enumerate(batch.writings) if not one.reading])
            if batch is not None:
                batch.leave(range(len(batch.writings)))

    def _take(self, writings: Sequence[Writing], logits: torch.Tensor | None) -> None:
        """One token for each of `writings`, from `logits` or, for their first, from the prompt's."""
        if not writings:
            return
        rows = torch.stack([one.prompt.logits for one in writings]) if logits is None else logits
        how = self._language.generation
        picked, logprobs = choose(rows, [one.chance for one in writings], how.temperature, how.top_p)
        for writing, token, logprob in zip(writings, picked, logprobs, strict=True):
            writing.take(token, logprob, self._language)

    def _forks(self, request: Request, path: Path, fanout: int) -> list[Writing]:
        writing = _writing(path)
        if writing is None and not path.steps:
            return self._begun(request, fanout)
        if writing is None:
            writing = self._reread(request, path)
        forks = [fork(writing, path, k) for k in range(fanout)]
        writing.forks += 1
        self._open.update(forks)
        return forks

    @torch.inference_mode()
    def _reread(self, request: Request, path: Path) -> Writing:
        """An open answer whose text is that of `path`, from its text alone."""
        if path.ended:
            message = f"an answer that has ended ({path.finish_reason or 'done'}) cannot be continued: extend open ones"
            raise SamplerError(message)
        prompt, ids = self._prompt(request), self._language.plain(path.text)
        layers, _ = read(self._language.model, ids, prompt)
        key = f"{mixed(self._seed, 0, prompt.ids)}:{path.text}"
        decided = StepSplitter(self._boundary)
        decided.feed(f"{path.text}.")
        writing = Writing(prompt, decided.boundary, key, cut(layers, len(ids) - 1), given=path.steps)
        writing.ids, writing.text = list(ids), path.text
        writing.logprobs = list(path.logprobs or ())
        writing.reach = [len(self._language.text(ids[: k + 1])) for k in range(len(ids))]
        return writing


def fork(writing: Writing, path: Path, number: int) -> Writing:
    """A continuation of `path`, which `writing` has given: number 0 keeps what is drawn beyond it, others do not."""
    own = writing.layers or ()
    kept = len(writing.ids) if number == 0 else writing.tokens_of(path.steps)
    key = f"{writing.key}/{writing.forks}.{number}"
    boundary = writing.splitter.boundary
    child = Writing(writing.prompt, boundary, key, cut(own, max(kept - 1, 0)), given=path.steps)
    child.ids, child.logprobs, child.reach = writing.ids[:kept], writing.logprobs[:kept], writing.reach[:kept]
    given = sum(map(len, path.steps))
    child.text = writing.text[: max(child.reach[-1], given)] if child.reach else ""
    child.closed.extend(child.splitter.feed(child.text[given:]))
    return child


def _writing(path: Path) -> Writing | None:
    return path.raw if isinstance(path.raw, Writing) else None


def _settled(path: Path) -> Path:
    writing = _writing(path)
    if writing is None:
        return path
    writing.layers = None
    usage = writing.cost + Usage(completion_tokens=len(writing.ids))
    return replace(path, usage=usage, raw=path.text)
