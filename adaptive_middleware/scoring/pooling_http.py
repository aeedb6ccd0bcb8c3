"""Scores of a process reward model behind HTTP: vLLM's `/pooling`, of `serve-prm` or of vLLM, on several replicas."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path as FilePath
from typing import Literal

import httpx2
from tenacity import AsyncRetrying, retry_if_exception_type

from adaptive_middleware.errors import CheckpointError, ConfigError
from adaptive_middleware.scoring import families
from adaptive_middleware.scoring.background import Background
from adaptive_middleware.scoring.breaker import Breaker
from adaptive_middleware.scoring.pooling_reply import READINGS, Reading, Reply, items, scores
from adaptive_middleware.scoring.replicas import Broken, Lost, Turn, Unavailable, ranked
from adaptive_middleware.scoring.rows import Layout, Row, render
from adaptive_middleware.scoring.tokenizer_only import open_tokenizer
from adaptive_middleware.types import Path, Request, StepScores

_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
_AGAIN = retry_if_exception_type(Unavailable)
_CONNECT_SECONDS, _REPLY_BYTES = 5.0, 64 << 20
_BUILDERS = {
    "qwen-math-prm": families.qwen_math_prm,
    "math-shepherd": families.math_shepherd,
    "skywork-prm": families.skywork_prm,
    "reasoneval": families.reasoneval,
}


@dataclass(frozen=True, slots=True)
class Replicas:
    """Where and what to ask: addresses before `/pooling`, the model's name there, and seconds for one exchange.

    `key` is sent as a bearer token if not empty. `breakers` has one for each address.
    """

    urls: tuple[str, ...]
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 60.0
    breakers: dict[str, Breaker] = field(default_factory=dict, compare=False, repr=False)

    def turn(self, request: Request) -> Turn:
        """A new call: the question decides which replica is asked first."""
        for url in self.urls:
            self.breakers.setdefault(url, Breaker())
        named = hashlib.sha256(request.text.encode(errors="surrogatepass")).hexdigest()[:16]
        order = ranked(self.urls, request.text)
        return Turn(order, self.breakers, self.timeout, request.deadline, prompt_hash=named)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a request; a compressed reply could be of any size."""
        secret = {"authorization": f"Bearer {self.key}"} if self.key else {}
        return {"content-type": "application/json", "accept-encoding": "identity", **secret}


Rendered = Sequence[tuple[Row, int]]


class PoolingScorer:
    """The `Scorer` and `AsyncScorer` ports over pooling servers; `id` names the model in calibration bundles.

    Rows are rendered here, as token ids, by the family's `layout`, at most `window` tokens long; one request
    carries all of them. A replica that is busy, silent or broken is passed over for the next one. Raises
    `ScorerError` when none answers within the request's deadline, or one refuses. Sets that cannot be trusted
    come back rejected. A pickled scorer is made again by `origin`; a deep copy shares connections and breakers.
    """

    def __init__(  # noqa: PLR0913 - keywords
        self,
        name: str,
        layout: Layout,
        reading: Reading,
        replicas: Replicas,
        *,
        window: int,
        origin: Callable[[], PoolingScorer],
    ) -> None:
        self.id, self.replicas = name, replicas
        self._layout, self._reading, self._window, self._origin = layout, reading, window, origin
        self._background = Background()
        self._client = httpx2.AsyncClient(limits=_LIMITS)

    @property
    def concurrent(self) -> Literal[True]:
        """That calls may come from any thread at the same moment."""
        return True

    def __reduce__(self) -> tuple[Callable[[], PoolingScorer], tuple[()]]:
        return self._origin, ()

    def __deepcopy__(self, memo: dict[int, object]) -> PoolingScorer:
        return self

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """Scores of all paths, over HTTP; blocks."""
        return self._background.submit(self._scored(request, paths)).result()

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """As `score`; the event loop only waits."""
        return await asyncio.wrap_future(self._background.submit(self._scored(request, paths)))

    async def _scored(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        if not paths:
            return []
        rendered, body = await asyncio.to_thread(self._asked, request, paths)
        turn = self.replicas.turn(request)
        retrying = AsyncRetrying(retry=_AGAIN, stop=turn.enough, wait=turn.wait, reraise=True)
        try:
            return await retrying(self._once, turn, rendered, body)
        except Unavailable as error:
            raise turn.failure() from error

    def _asked(self, request: Request, paths: Sequence[Path]) -> tuple[Rendered, bytes]:
        both = [render(self._layout, request.text, path.steps, self._window) for path in paths]
        rendered = [(row, first) for (row,), first in both]
        body = {
            "model": self.replicas.model,
            "input": [row.ids for row, _ in rendered],
            "task": "token_classify",
        }
        return rendered, json.dumps(body).encode()

    async def _once(self, turn: Turn, rendered: Rendered, body: bytes) -> list[StepScores]:
        url, seconds = turn.next()
        with turn.asking(url, seconds):
            with _connection():
                async with asyncio.timeout(seconds):
                    headers = self.replicas.headers | {"x-prompt-hash": turn.prompt_hash}
                    reply = await _posted(self._client, headers, url, body, seconds)
            return await asyncio.to_thread(self._read, url, rendered, reply)

    def _read(self, url: str, rendered: Rendered, reply: Reply) -> list[StepScores]:
        given, cached = items(reply, url, self.replicas.model, len(rendered))
        found = []
        for (row, first), item in zip(rendered, given, strict=True):
            found.append(scores(self._reading, row, first, item, cached))
            cached = max(cached - len(row.ids), 0)
        return found


@contextmanager
def _connection() -> Iterator[None]:
    """Errors of the connection as `Lost`."""
    try:
        yield
    except (httpx2.TransportError, TimeoutError) as error:
        late = isinstance(error, httpx2.TimeoutException | TimeoutError)
        late = late and not isinstance(error, httpx2.ConnectTimeout)
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise Lost(message, late=late) from error


async def _posted(
    client: httpx2.AsyncClient, headers: dict[str, str], url: str, body: bytes, seconds: float
) -> Reply:
    read = bytearray()
    timeout = httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
    async with client.stream(
        "POST", f"{url}/pooling", content=body, headers=headers, timeout=timeout
    ) as reply:
        async for chunk in reply.aiter_raw():
            _grown(read, chunk)
        return Reply(reply.status_code, bytes(read), reply.headers.get("retry-after"))


def _grown(read: bytearray, chunk: bytes) -> None:
    read += chunk
    if len(read) > _REPLY_BYTES:
        message = f"a reply of more than {_REPLY_BYTES} bytes"
        raise Broken(message)


def _check(url: str) -> None:
    try:
        usable = httpx2.URL(url).scheme in {"http", "https"} and bool(httpx2.URL(url).host)
    except httpx2.InvalidURL:
        usable = False
    if not usable:
        message = (
            f"{url!r} is not the address of a server: give http(s)://host:port, what stands before /pooling"
        )
        raise ConfigError(message)


def pooling_scorer(  # noqa: PLR0913 - one keyword per setting of `prm` in the configuration
    urls: Sequence[str], *, model: str, tokenizer: str | FilePath, family: str | None = None, key: str = "",
    timeout: float = 60.0, max_length: int = 4096,
) -> PoolingScorer:  # fmt: skip
    """A scorer for the pooling servers at `urls`, which all serve `model`.

    `tokenizer` is the model's folder or hub name, of which only the tokenizer and config.json are read. `family`
    is one of `READINGS`; without it, `adaptive_family.name` in config.json decides. `timeout` is in seconds, for
    one exchange; `max_length` the longest row in tokens, no more than the servers' own. Raises `CheckpointError` and `ConfigError`.
    """
    origin = partial(
        pooling_scorer, urls, model=model, tokenizer=tokenizer, family=family, key=key, timeout=timeout,
        max_length=max_length,
    )  # fmt: skip
    for url in urls:
        _check(url)
    loaded, options = open_tokenizer(tokenizer)
    kind = family or options.name or "none"
    if kind not in READINGS:
        message = f"the family is {kind!r}, which cannot be asked of a pooling server: set `family` to one of {', '.join(READINGS)}"
        raise CheckpointError(message)
    layout = _BUILDERS[kind](loaded, options).layout
    replicas = Replicas(tuple(url.rstrip("/") for url in urls), model, key, timeout)
    return PoolingScorer(
        options.id or model, layout, READINGS[kind], replicas, window=max_length, origin=origin
    )
