"""One answer while it is read: pieces in, closed steps out, and what is known of its cost at any moment."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.types import Path, Request, ToolCall, Usage

TRUNCATED = "truncated"
"""The finish reason of an answer whose stream ended without one: it is never taken for a complete answer."""

_CUT = frozenset({"length", "max_tokens", TRUNCATED})
_CHARACTERS, _PIECE, _ABSURD = 4, 64, 100_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a streamed answer: as much as one chunk of the provider says; everything may be missing.

    `tokens` and `logprobs` are those of this piece, `usage` the provider's count of the whole answer so far (the
    last one counts), `tool_calls` are whole calls, `raw` is the framework's own chunk.
    """

    text: str = ""
    tokens: int | None = None
    logprobs: tuple[float, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    raw: object = None


Finish = Callable[[Sequence[Piece]], object]
"""What becomes the `raw` of a whole answer: the framework's own object, made from its pieces."""


def joined(pieces: Sequence[Piece]) -> str:
    """The text of all pieces: the plainest `Finish`."""
    return "".join(piece.text for piece in pieces)


class AnswerTooLong(SamplerError):
    """A streamed answer is longer than may be kept in memory."""

    code = "AMW-E310"
    remedy = "Set `max_tokens`, or raise `most`."


@dataclass(slots=True, eq=False)
class Reading:
    """The state of one open answer; whoever reads its stream feeds it, nothing here waits.

    `most` bounds the memory: characters of text, with a constant for each piece. `sent` says whether the request
    for the answer went out, so that an answer of which nothing has come still counts as a request.
    """

    request: Request
    splitter: StepSplitter
    finish: Finish
    most: int
    sent: bool = False
    ended: bool = False
    given: list[str] = field(default_factory=list)
    _closed: deque[str] = field(default_factory=deque)
    _pieces: list[Piece] = field(default_factory=list)
    _lengths: list[int] = field(default_factory=list)
    _tokens: list[int] = field(default_factory=list)
    _logprobs: list[float] = field(default_factory=list)
    _counted: int = 0
    _uncounted: int = 0
    _size: int = 0
    _reason: str | None = None
    _usage: Usage | None = None

    def take(self, piece: Piece) -> None:
        """Add a piece; raises `AnswerTooLong` when there is more than may be kept."""
        self._size += len(piece.text) + _PIECE
        if self._size > self.most:
            message = (
                f"the streamed answer passed {self.most} characters: raise `most`, or set a limit of tokens"
            )
            raise AnswerTooLong(message)
        self._pieces.append(piece)
        self._closed += self.splitter.feed(piece.text)
        self._logprobs += piece.logprobs
        self._lengths.append(self.size + len(piece.text))
        self._tokens.append(len(self._logprobs))
        tokens = len(piece.logprobs) if piece.tokens is None else max(piece.tokens, 0)
        self._counted += tokens
        self._uncounted += 0 if tokens else len(piece.text)
        self._reason = piece.finish_reason or self._reason
        self._usage = piece.usage or self._usage

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces that have come, in order."""
        return self._pieces

    @property
    def started(self) -> bool:
        """Whether any piece has come."""
        return bool(self._pieces)

    @property
    def size(self) -> int:
        """How many characters have come."""
        return self._lengths[-1] if self._lengths else 0

    @property
    def steps_wait(self) -> bool:
        """Whether a closed step was read that was not given out yet."""
        return bool(self._closed)

    def step(self) -> Path:
        """The open path, one closed step longer; there must be one."""
        self.given.append(self._closed.popleft())
        return self._path(tuple(self.given), logprobs=self._until(self.given))

    def grown(self) -> Path:
        """The open path with all text read so far; the last step may be unfinished."""
        rest = self.splitter.rest
        steps = (*self.given, *self._closed, *([rest] if rest else ()))
        return self._path(steps, logprobs=tuple(self._logprobs) or None)

    def whole(self, *, error: str | None = None) -> Path:
        """The ended path: with the framework's own object, or with `error`."""
        self.ended = True
        self.given += [*self._closed, *self.splitter.end()]
        self._closed.clear()
        reason = self._reason or (TRUNCATED if error is None else None)
        raw: object = None
        if error is None:
            try:
                raw = self.finish(self._pieces)
            except Exception as cause:  # noqa: BLE001 - the adapter's code; a failed answer is data
                error = f"{type(cause).__name__}: {cause}"
        calls = tuple(call for piece in self._pieces for call in piece.tool_calls)
        done = error is None and str(reason).lower() not in _CUT
        steps, logprobs = tuple(self.given), tuple(self._logprobs) or None
        return Path(steps, done, reason, calls, logprobs, self.usage(), raw, error)

    def usage(self) -> Usage:
        """What the answer has cost: the provider's count where it is sound, else tokens seen, else an estimate."""
        if not self.sent:
            return Usage()
        seen = self._counted + -(-self._uncounted // _CHARACTERS)
        said = self._usage if self._usage is not None and sound(self._usage) else Usage()
        prompt = said.prompt_tokens or tokens_in(self.request.text)
        final = self._reason is not None and said.completion_tokens > 0
        completion = said.completion_tokens if final else max(said.completion_tokens, seen)
        guessed = said.prompt_tokens == 0 or (completion != said.completion_tokens and self._uncounted > 0)
        return Usage(prompt, completion, said.cached_tokens, requests=1, usd=said.usd, estimated=guessed)

    def _until(self, steps: Sequence[str]) -> tuple[float, ...] | None:
        """Log-probabilities of the tokens that reach to the end of `steps`."""
        if not self._logprobs:
            return None
        last = bisect_left(self._lengths, sum(map(len, steps)))
        return tuple(self._logprobs[: self._tokens[last]]) or None

    def _path(self, steps: tuple[str, ...], *, logprobs: tuple[float, ...] | None) -> Path:
        return Path(steps, done=False, logprobs=logprobs, usage=self.usage())


@dataclass(slots=True, eq=False)
class Open:
    """What an open path carries in `raw`: its reading, for whoever shows the provider's own pieces."""

    reading: Reading


def tokens_in(text: str) -> int:
    """How many tokens a text has, reckoned from its length: one for four characters."""
    return -(-len(text) // _CHARACTERS)


def sound(usage: Usage) -> bool:
    """Whether a provider's counts can be believed: none is negative or absurd."""
    counts = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
    return min(counts) >= 0 and max(counts) <= _ABSURD


Until = Callable[[Reading], bool]
"""How far an answer is read in one go."""


def has_step(reading: Reading) -> bool:
    """Whether a closed step waits to be given out."""
    return reading.steps_wait


def longer_than(size: int, reading: Reading) -> bool:
    """Whether more than `size` characters have come."""
    return reading.size > size
