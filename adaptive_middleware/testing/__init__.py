"""Public doubles: a scripted sampler and streamer and a tabled scorer, for your tests and ours.

They speak both the synchronous and the asynchronous ports, and need no library.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import cycle, islice

from adaptive_middleware.steps import split_steps
from adaptive_middleware.types import Path, Request, StepScores, Usage


def answer(text: str, *, tokens: int | None = None, error: str | None = None) -> Path:
    """A finished path from its text; `tokens` defaults to the number of words."""
    count = len(text.split()) if tokens is None else tokens
    usage = Usage(completion_tokens=count, requests=1)
    return Path(tuple(split_steps(text)), finish_reason="stop", usage=usage, raw=text, error=error)


class ScriptedSampler:
    """Gives the scripted texts in order, from the start again at the end; raises scripted exceptions.

    `calls` records the `n` of every draw.

    >>> sampler = ScriptedSampler(["4", "5"])
    >>> [path.text for path in sampler.sample(Request("2 + 2"), 3)]
    ['4', '5', '4']
    """

    def __init__(self, script: Iterable[str | Path | Exception]) -> None:
        self._script = cycle(tuple(script))
        self.calls: list[int] = []

    def sample(self, request: Request, n: int) -> list[Path]:  # noqa: ARG002 - the port's signature
        """The next `n` scripted answers; the first scripted exception among them is raised."""
        self.calls.append(n)
        drawn = []
        for item in islice(self._script, n):
            if isinstance(item, Exception):
                raise item
            drawn.append(item if isinstance(item, Path) else answer(item))
        return drawn

    async def asample(self, request: Request, n: int) -> list[Path]:
        """As `sample`."""
        return self.sample(request, n)


class ScriptedStreamer:
    r"""Gives the scripted texts step by step; a token is a word.

    An open path carries its whole answer as `raw`. `dropped` records the texts read of dropped answers.

    >>> streamer = ScriptedStreamer(["one\n\ntwo"])
    >>> opened = streamer.begin(Request("count"), 1)
    >>> [path.text for path in streamer.advance(Request("count"), opened)]
    ['one\n\n']
    """

    def __init__(self, script: Iterable[str | Path | Exception]) -> None:
        self._sampler = ScriptedSampler(script)
        self.calls = self._sampler.calls
        self.dropped: list[str] = []

    def begin(self, request: Request, n: int) -> list[Path]:
        """The next `n` scripted answers, nothing read of them."""
        return [Path(done=False, raw=whole) for whole in self._sampler.sample(request, n)]

    def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:  # noqa: ARG002
        """Each path one step further; the last step brings the finished answer."""
        return [_further(path) for path in paths]

    def follow(self, request: Request, path: Path) -> Iterator[Path]:
        """The path step by step, up to the finished answer."""
        while not path.ended:
            (path,) = self.advance(request, [path])
            yield path

    def drop(self, request: Request, paths: Sequence[Path]) -> list[Path]:  # noqa: ARG002
        """The paths as they are."""
        self.dropped += [path.text for path in paths]
        return list(paths)

    async def abegin(self, request: Request, n: int) -> list[Path]:
        """As `begin`."""
        return self.begin(request, n)

    async def aadvance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        """As `advance`."""
        return self.advance(request, paths)

    async def afollow(self, request: Request, path: Path) -> AsyncIterator[Path]:
        """As `follow`."""
        for longer in self.follow(request, path):
            yield longer

    async def adrop(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        """As `drop`."""
        return self.drop(request, paths)


def _further(path: Path) -> Path:
    whole = path.raw
    if not isinstance(whole, Path) or len(path.steps) + 1 >= len(whole.steps):
        return whole if isinstance(whole, Path) else path
    steps = whole.steps[: len(path.steps) + 1]
    return Path(steps, done=False, usage=Usage(completion_tokens=len("".join(steps).split())), raw=whole)


class TableScorer:
    """Scores by a function of the path, or the same scores for every step of every path.

    `seen` records every batch of paths that was scored.
    """

    def __init__(self, rule: Callable[[Path], Sequence[float]] | float) -> None:
        self._rule = rule
        self.seen: list[tuple[Path, ...]] = []

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:  # noqa: ARG002
        """One score set per path; a token is a word."""
        self.seen.append(tuple(paths))
        return [StepScores(tuple(self._values(path)), tokens=len(path.text.split())) for path in paths]

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """As `score`."""
        return self.score(request, paths)

    def _values(self, path: Path) -> Sequence[float]:
        if callable(self._rule):
            return self._rule(path)
        return [self._rule] * max(len(path.steps), 1)
