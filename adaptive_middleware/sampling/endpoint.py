"""An OpenAI-compatible endpoint: where and how to ask, and when to ask again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx2
from tenacity import RetryCallState, retry_if_exception_type

from adaptive_middleware.deadline import Deadline
from adaptive_middleware.errors import DeadlineExceeded, SamplerError
from adaptive_middleware.sampling.retries import RetryBudget
from adaptive_middleware.types import Request

_BUSY, _LONGEST_WAIT = (408, 409, 425, 429), 60.0
_NUMBER = re.compile(r"\bn\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to ask: `base_url` ends before `/chat/completions`; `key` is sent as a bearer token if not empty.

    `logprobs` asks for the tokens' log-probabilities. `timeout` is in seconds, for one request; `attempts` >= 1 counts the first one, too.
    `retries` is the budget that all requests to it share.
    """

    base_url: str
    model: str
    key: str = ""
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    logprobs: bool = True
    timeout: float = 600.0
    attempts: int = 6
    retries: RetryBudget = field(default_factory=RetryBudget, compare=False, repr=False)

    @property
    def url(self) -> str:
        """The address of chat completions."""
        return self.base_url.rstrip("/") + "/chat/completions"

    @property
    def plain_url(self) -> str:
        """The address of completions of a raw prompt."""
        return self.base_url.rstrip("/") + "/completions"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a request with a JSON body."""
        secret = {"authorization": f"Bearer {self.key}"} if self.key else {}
        return {"content-type": "application/json", **secret}

    @property
    def settings(self) -> dict[str, Any]:
        """How the model samples, as a request's body says it."""
        return {
            "model": self.model,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            **({"logprobs": True} if self.logprobs else {}),
        }


class TooManyChoices(SamplerError):
    """The endpoint gives fewer choices for each request: `n` must be smaller."""

    code = "AMW-E317"
    remedy = "Nothing: fewer choices are asked for by itself."


class Busy(Exception):
    """The endpoint could not answer now; `wait` is what it asked for, in seconds, where it did; the `attempts` so far."""

    def __init__(self, cause: str, wait: float | None = None) -> None:
        self.wait, self.attempts = wait, 1
        super().__init__(cause)


def messages_of(request: Request) -> list[object]:
    """The conversation of a request; its text as the user's turn where it has none."""
    return [*(request.messages or [{"role": "user", "content": request.text}])]


def parameters_of(request: Request) -> dict[str, Any]:
    """What a request itself says of the model and its sampling; how many answers are wanted is not its to say."""
    return {name: value for name, value in request.parameters.items() if name != "n"}


def too_many(status: int, said: str, n: int) -> bool:
    """Whether a refusal of a request for `n` choices is one of that number."""
    return n > 1 and status in {400, 422} and _NUMBER.search(said) is not None


def busy(status: int) -> bool:
    """Whether an HTTP status says to ask again later."""
    return status in _BUSY or status >= 500


def unreachable(url: str, error: Exception) -> Exception:
    """What to raise for a failed exchange: `SamplerError` for an address that cannot work, else `Busy`."""
    if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
        return SamplerError(f"{url!r} is not an address of an endpoint ({error}): give http(s)://host/v1")
    return Busy(f"{type(error).__name__}: {error}")


def seconds(written: str | None) -> float | None:
    """The seconds of a Retry-After header; None where it is missing or a date."""
    return float(written) if written is not None and written.strip().isdecimal() else None


def wait_seconds(state: RetryCallState) -> float:
    """What the endpoint asked for, else 0.5, 1, 2, 4, ... seconds; never more than a minute."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait if isinstance(error, Busy) else None
    return min(0.5 * 2 ** (state.attempt_number - 1) if asked is None else asked, _LONGEST_WAIT)


def again(place: Endpoint, deadline: float | None) -> dict[str, Any]:
    """How tenacity repeats a request that met `Busy`: the only retries there are, all before the first byte of an answer.

    Not after `attempts`, nor when the wait would pass the deadline, nor once the endpoint's retries are spent.
    """

    def stop(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, Busy):
            error.attempts = state.attempt_number
        last = state.attempt_number >= place.attempts or not Deadline(deadline).allows(wait_seconds(state))
        return last or not place.retries.take()

    return {"retry": retry_if_exception_type(Busy), "stop": stop, "wait": wait_seconds, "reraise": True}


def gave_up(place: Endpoint, error: Busy, deadline: float | None) -> Exception:
    """The error of an endpoint that was busy to the last."""
    if Deadline(deadline).left() == 0:
        return DeadlineExceeded(f"{place.url} had not answered at the call's deadline: {error}")
    early = "" if error.attempts >= place.attempts else " (there was no time, or no retry left, for another)"
    return SamplerError(f"{place.url}: no answer in {error.attempts} attempts: {error}{early}")
