"""Answers of an OpenAI-compatible endpoint, over HTTP: whole, or begun with a prefix."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NoReturn

import httpx2
from tenacity import Retrying

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.sampling.endpoint import (
    Busy,
    Endpoint,
    TooManyChoices,
    again,
    busy,
    gave_up,
    messages_of,
    parameters_of,
    seconds,
    too_many,
)
from adaptive_middleware.sampling.spent import spent
from adaptive_middleware.sampling.whole import posted
from adaptive_middleware.steps import split_steps
from adaptive_middleware.types import Path, Request, Usage

__all__ = ["Endpoint", "OpenAISampler"]

_SHOWN = 300


def _client() -> httpx2.Client:
    """One for all requests of a sampler; idle connections are closed, so that nothing is left to close at the end."""
    return httpx2.Client(limits=httpx2.Limits(max_keepalive_connections=0))


@dataclass(frozen=True, slots=True)
class OpenAISampler:
    """Draws answers by `n` choices of one request, and asks again for those that a server did not give or refused to.

    A prefix goes as a last message of the assistant with `continue_final_message`, which vLLM and SGLang go on
    from; a server that does not know it would begin anew, so use prefixes only where that is known. The limit of
    tokens is then for the continuation alone. Parameters of a request (those of a rung: another model, say) replace the endpoint's.
    """

    endpoint: Endpoint
    client: httpx2.Client = field(default_factory=_client, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The model's name, as bundles call the generator."""
        return self.endpoint.model

    def sample(self, request: Request, n: int) -> list[Path]:
        """`n` independent whole answers; raises `SamplerError` when the endpoint refuses or does not answer."""
        return [drawn.path for drawn in self._drawn(request, "", n, None)]

    def extend(self, request: Request, prefixes: Sequence[str], n: int, seed: int) -> list[list[Drawn]]:
        """`n` answers that begin with each prefix ("" for whole answers); `seed` is sent along; raises as `sample`."""
        return [self._drawn(request, prefix, n, seed + k) for k, prefix in enumerate(prefixes)]

    def _drawn(self, request: Request, prefix: str, n: int, seed: int | None) -> list[Drawn]:
        found: list[Drawn] = []
        most = n
        while len(found) < n:
            most = min(most, n - len(found))
            body = self._body(request, prefix, most, None if seed is None else seed + len(found))
            try:
                reply = self._asked(body, request.deadline)
            except TooManyChoices:
                most //= 2
                continue
            found += _answers(reply, request.text + prefix, prefix, most, self.endpoint.url)
        return found

    def _body(self, request: Request, prefix: str, n: int, seed: int | None) -> dict[str, Any]:
        place = self.endpoint
        messages = messages_of(request)
        body = {**place.settings, **parameters_of(request), "messages": messages, "n": n}
        body |= {} if seed is None else {"seed": seed & 0x7FFFFFFF}
        if not prefix:
            return body
        messages.append({"role": "assistant", "content": prefix})
        return body | {"add_generation_prompt": False, "continue_final_message": True}

    def _asked(self, body: Mapping[str, Any], deadline: float | None) -> object:
        try:
            found: object = Retrying(**again(self.endpoint, deadline))(self._once, body, deadline)
        except Busy as error:
            raise gave_up(self.endpoint, error, deadline) from error
        return found

    def _once(self, body: Mapping[str, Any], deadline: float | None) -> object:
        place = self.endpoint
        reply = posted(self.client, place.url, body, place, deadline)
        if not reply.is_success:
            _refused(place, reply, body["n"])
        place.retries.answered()
        try:
            found: object = reply.json()
        except ValueError as error:
            message = f"{place.url} did not answer with JSON ({error}): is it an OpenAI-compatible endpoint?"
            raise SamplerError(message) from error
        return found


def _refused(place: Endpoint, reply: httpx2.Response, n: int) -> NoReturn:
    said = f"HTTP {reply.status_code}: {reply.text[:_SHOWN]}"
    if busy(reply.status_code):
        raise Busy(said, seconds(reply.headers.get("retry-after")))
    message = f"{place.url} refused a request for {place.model!r}: {said}"
    raise TooManyChoices(message) if too_many(reply.status_code, reply.text, n) else SamplerError(message)


def _answers(reply: Any, asked: str, prefix: str, most: int, url: str) -> list[Drawn]:  # noqa: ANN401 - JSON
    """The choices of one reply to what was `asked`; the first carries the prompt's tokens."""
    try:
        choices = reply["choices"][:most]
        counted = [len((choice.get("logprobs") or {}).get("content") or ()) for choice in choices]
        texts = [str(choice["message"].get("content") or "") for choice in choices]
        costs = spent(reply.get("usage"), asked, texts, counted)
        return [_answer(choice, prefix, cost) for choice, cost in zip(choices, costs, strict=True)]
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        shown = json.dumps(reply)[:_SHOWN]
        message = f"{url} answered without usable choices ({type(error).__name__}: {error}): {shown}"
        raise SamplerError(message) from error


def _answer(choice: Mapping[str, Any], prefix: str, cost: Usage) -> Drawn:
    text = str(choice["message"].get("content") or "")
    reason = choice.get("finish_reason")
    tokens = (choice.get("logprobs") or {}).get("content") or []
    steps = tuple(split_steps(prefix + text))
    logprobs = tuple(min(float(token["logprob"]), 0.0) for token in tokens) or None
    path = Path(steps, reason != "length", reason, logprobs=logprobs, usage=cost, raw=prefix + text)
    if prefix or logprobs is None:
        return Drawn(path)
    return Drawn(path, _ends(steps, [str(token["token"]) for token in tokens]))


def _ends(steps: Sequence[str], tokens: Sequence[str]) -> tuple[int, ...]:
    """Tokens up to the end of each step, by the lengths of their texts."""
    reached = list(accumulate(map(len, tokens)))
    lengths = accumulate(map(len, steps))
    return tuple(min(bisect_left(reached, length) + 1, len(tokens)) for length in lengths)
