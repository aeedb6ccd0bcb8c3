"""One answer while it is drawn token by token: its tokens, its closed steps, and the keys and values it holds."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

import torch

from adaptive_middleware.sampling.language import Language
from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.steps import Boundary
from adaptive_middleware.types import Path, Usage

Layers = tuple[tuple[torch.Tensor, torch.Tensor], ...]
"""Keys and values of each layer, (key-value heads, tokens, dimension)."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Prompt:
    """A prompt that was read once for all answers to it: its keys and values, and the logits of the first token."""

    ids: tuple[int, ...]
    room: int
    layers: Layers
    logits: torch.Tensor
    used: bool = False


@dataclass(slots=True, eq=False, weakref_slot=True)
class Writing:
    """An open answer; an open path carries it as `raw`.

    `layers` hold the keys and values of its own tokens but the last, which is fed when it goes on; None when they
    were given back. `key` names its random numbers, which are its own: what it draws does not depend on others.
    `reach` is the length of its text after each token.
    """

    prompt: Prompt
    boundary: Boundary
    key: str
    layers: Layers | None
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    reach: list[int] = field(default_factory=list)
    given: tuple[str, ...] = ()
    reason: str | None = None
    forks: int = 0
    cost: Usage = Usage()  # noqa: RUF009 - frozen
    text: str = ""
    chance: random.Random = field(init=False)
    splitter: StepSplitter = field(init=False)
    closed: deque[str] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.key)  # noqa: S311 - sampling
        self.splitter = StepSplitter(self.boundary, "".join(self.given))

    @property
    def reading(self) -> bool:
        """Whether more tokens must be drawn before its next step, or its end, is known."""
        return self.reason is None and not self.closed

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values held by it alone."""
        return sum(part.nbytes for layer in self.layers or () for part in layer)

    def take(self, token: int, logprob: float, language: Language) -> None:
        """Add a drawn token: it may close steps, end the answer, or fill its room."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        ended = token in language.ends
        full = len(self.ids) >= self.prompt.room
        text = language.text(self.ids[:-1] if ended else self.ids)
        waits = text.endswith("\ufffd") and not (ended or full)  # half a character, for its other half
        if not waits and text.startswith(self.text):
            self.closed += self.splitter.feed(text[len(self.text) :])
            self.text = text
        self.reach.append(len(self.text))
        if ended or full:
            self.reason = "stop" if ended else "length"
            self.layers = None

    def next_step(self) -> Path:
        """The path one closed step longer, or ended."""
        if self.closed:
            self.given = (*self.given, self.closed.popleft())
            return self.path()
        if self.reason is not None:
            self.given = (*self.given, *self.splitter.end())
        return self.path()

    def path(self, *, tail: bool = False) -> Path:
        """What was given of it; with `tail`, also what is written of the step that is open."""
        ended = self.reason is not None and not self.closed and not self.splitter.rest
        steps = self.given
        if tail and (rest := "".join([*self.closed, self.splitter.rest])):
            steps = (*steps, rest)
        return Path(
            steps,
            done=ended and self.reason == "stop",
            finish_reason=self.reason if ended else None,
            logprobs=tuple(self.logprobs if ended else self.logprobs[: self.tokens_of(steps)]),
            usage=self.cost + Usage(completion_tokens=len(self.ids)),
            raw=self.text if ended else self,
        )

    def tokens_of(self, steps: tuple[str, ...]) -> int:
        """How many tokens reach to the end of `steps`."""
        length = sum(map(len, steps))
        return min(bisect_left(self.reach, length) + 1, len(self.ids)) if length else 0
