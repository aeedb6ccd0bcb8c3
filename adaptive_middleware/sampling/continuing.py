"""How providers are asked to go on from a prefix, and what their replies mean; nothing is sent here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import httpx2

from adaptive_middleware.errors import NotContinuing, SamplerError
from adaptive_middleware.sampling.chunks import tokens_of, usage_of
from adaptive_middleware.sampling.endpoint import (
    Busy,
    Endpoint,
    TooManyChoices,
    busy,
    messages_of,
    parameters_of,
    seconds,
    too_many,
)
from adaptive_middleware.sampling.reading import sound
from adaptive_middleware.types import Path, Request, Usage

Continuation: TypeAlias = Literal["completions", "continue_final_message", "prefix", "none"]
"""What an endpoint understands: raw prompts, vLLM's and SGLang's flag, Mistral's and DeepSeek's flag, or nothing."""

_SHOWN, _CHARACTERS, _TELLING = 300, 4, 8
_BLANK, _BLANKS = "\n\n", 8
_UNKNOWN = re.compile(
    r"continu|prefix|prefill|generation_prompt|assistant|last message|extra|unknown|unrecogni|unexpected|not permitted",
    re.IGNORECASE,
)


def as_it_is(request: Request) -> str:
    """The plainest template of a raw prompt: the question, and a blank line."""
    return f"{request.text}\n\n"


@dataclass(frozen=True, slots=True)
class Continuing:
    r"""One way to go on from a prefix; a step ends at `separator`, or after `step_tokens` tokens.

    `template` writes the raw prompt of `completions`, which ends where the answer begins; a chat model needs its chat
    template there. A server that says why it stopped (vLLM's `stop_reason`, SGLang's `matched_stop`) is believed; of
    another, an answer counts as ended once its next step is blank, which costs one more request, or two where steps are
    lines, because one blank line may be a paragraph's end.
    """

    how: Continuation
    separator: str = "\n\n"
    step_tokens: int = 256
    template: Callable[[Request], str] = as_it_is

    def url(self, place: Endpoint) -> str:
        """The address to ask."""
        return place.plain_url if self.how == "completions" else place.url

    def body(self, place: Endpoint, request: Request, path: Path, n: int) -> dict[str, Any]:
        """The body of a request for `n` continuations; raises `NotContinuing` where nothing is understood."""
        if self.how == "none":
            message = (
                f"{place.url} cannot continue an answer of {place.model!r}: `continuation` is set to none"
            )
            raise NotContinuing(message)
        body = {
            **place.settings,
            **parameters_of(request),
            "n": n,
            "stop": [self.separator],
            "max_tokens": self.step_tokens,
        }
        if self.how == "completions":
            logprobs = {"logprobs": 1} if place.logprobs else {}
            return body | {"prompt": self.template(request) + path.text} | logprobs
        body["messages"] = messages_of(request)
        if not path.text:
            return body
        last: dict[str, Any] = {"role": "assistant", "content": path.text}
        if self.how == "prefix":
            return body | {"messages": [*body["messages"], last | {"prefix": True}]}
        flags = {"add_generation_prompt": False, "continue_final_message": True}
        return body | {"messages": [*body["messages"], last], **flags}

    def paths(self, place: Endpoint, path: Path, reply: Any) -> list[Path]:  # noqa: ANN401 - JSON
        """The continuations in a reply; raises `NotContinuing` when the answer was begun anew."""
        try:
            choices: Sequence[Mapping[str, Any]] = reply["choices"]
            texts = [_text(choice).removeprefix(path.text) for choice in choices]
            usage = usage_of(reply.get("usage")) or Usage()
            costs = _costs(choices, texts, usage if sound(usage) else Usage())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            shown = json.dumps(reply)[:_SHOWN]
            message = f"{self.url(place)} answered without usable choices ({type(error).__name__}: {error}): {shown}"
            raise SamplerError(message) from error
        if texts and all(_anew(path, text) for text in texts):
            message = f"{self.url(place)} began the answer anew instead of going on from its prefix: {texts[0][:80]!r}"
            raise NotContinuing(message)
        return [self._longer(path, *one) for one in zip(choices, texts, costs, strict=True)]

    def _longer(self, path: Path, choice: Mapping[str, Any], text: str, cost: Usage) -> Path:
        reason = str(choice.get("finish_reason") or "stop")
        seen, cut, _ = text.lstrip().partition(self.separator)
        text = text[: len(text) - len(text.lstrip())] + seen
        same = replace(
            path, usage=cost, logprobs=tokens_of(choice.get("logprobs")) or None, raw=path.text + text
        )
        ended = _ended(choice) if reason == "stop" and not cut else None
        if reason == "stop" and self._only_apart(path, text, ended):
            steps = (*path.steps[:-1], path.steps[-1] + self.separator)
            return replace(same, steps=steps, done=False, finish_reason=None, raw=path.text + self.separator)
        if not text.strip() or ended or reason not in {"stop", "length"}:
            steps = (*path.steps, text) if text.strip() else path.steps
            return replace(same, steps=steps, done=True, finish_reason=reason)
        closing = "" if reason == "length" and not cut else self.separator
        steps = (*path.steps, text + closing)
        return replace(same, steps=steps, done=False, finish_reason=None, raw=path.text + text + closing)

    def _only_apart(self, path: Path, text: str, ended: bool | None) -> bool:
        """Whether a blank continuation is one more separator, not the end: lines may stand apart by a blank one."""
        most = _BLANKS if ended is False else 1 + (_BLANK not in self.separator)
        return (
            not (text.strip() or ended) and path.steps != () and not path.text.endswith(self.separator * most)
        )


def refusal(url: str, place: Endpoint, reply: httpx2.Response, body: Mapping[str, Any]) -> Exception:
    """What to raise for a reply that is not a success."""
    said = f"HTTP {reply.status_code}: {reply.text[:_SHOWN]}"
    if busy(reply.status_code):
        return Busy(said, seconds(reply.headers.get("retry-after")))
    message = f"{url} refused to continue an answer of {place.model!r}: {said}"
    if reply.status_code in (400, 422):
        if too_many(reply.status_code, reply.text, body["n"]):
            return TooManyChoices(message)
        if _UNKNOWN.search(reply.text):
            return NotContinuing(message)
    return NotContinuing(message) if reply.status_code in (404, 405, 501) else SamplerError(message)


def _text(choice: Mapping[str, Any]) -> str:
    return str(choice["text"] if "text" in choice else choice["message"].get("content") or "")


def _ended(choice: Mapping[str, Any]) -> bool | None:
    """Whether the model itself ended the answer; None where the server does not say."""
    for name in ("stop_reason", "matched_stop"):
        if name in choice:
            return not isinstance(choice[name], str)
    return None


def _anew(path: Path, text: str) -> bool:
    """Whether `text` begins as the answer did: a server that ignores the prefix answers so."""
    first = path.steps[0].strip() if path.steps else ""
    return len(first) >= _TELLING and text.strip().startswith(first)


def _costs(choices: Sequence[Mapping[str, Any]], texts: Sequence[str], said: Usage) -> list[Usage]:
    """What each continuation cost; the first carries the prompt and the request."""
    counted = [len(tokens_of(choice.get("logprobs"))) for choice in choices]
    if not all(counted) and said.completion_tokens > 0:
        share, extra = divmod(said.completion_tokens, len(choices))
        counted = [share + extra * (not k) for k in range(len(choices))]
    guessed = not all(counted)
    lengths = [count or -(-len(text) // _CHARACTERS) for count, text in zip(counted, texts, strict=True)]
    return [
        Usage(
            said.prompt_tokens * (not k),
            length,
            said.cached_tokens * (not k),
            requests=int(not k),
            estimated=guessed,
        )
        for k, length in enumerate(lengths)
    ]
