"""From a pooling request to rows for the engine, and from their outputs to the reply: no HTTP, no threads."""

from __future__ import annotations

import base64
import math
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

from jinja2.exceptions import TemplateError

from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.scoring.computed import Computed
from adaptive_middleware.scoring.families import MARKER, SHEPHERD_MARKER
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.text import Text
from adaptive_middleware.server.requests import PoolingRequest, Refused

_TAGS = {"qwen-math-prm": MARKER, "math-shepherd": SHEPHERD_MARKER}
_EVERY_TOKEN = ("skywork-prm", "reasoneval")


@dataclass(frozen=True, slots=True)
class Served:
    """The model as clients see it: its name, tokenizer, window in tokens, and the number of its token ids.

    `tag` is the id of the step tag at which rows are read (vLLM's STEP pooling); None: at every token (ALL).
    """

    name: str
    tokenizer: Any
    window: int
    vocabulary: int
    tag: int | None


def step_tag(family: str, tokenizer: Any) -> int | None:  # noqa: ANN401 - transformers' tokenizers share no usable type
    """The id of the family's step tag, None where every token is read; raises `CheckpointError` for families without pooling."""
    if family in _TAGS:
        return Text(tokenizer).token(_TAGS[family])
    if family in _EVERY_TOKEN:
        return None
    message = f"the family {family!r} cannot be served by pooling: it needs {', '.join((*_TAGS, *_EVERY_TOKEN))}; use prm kind transformers in the process of the caller"
    raise CheckpointError(message)


def rows_of(served: Served, request: PoolingRequest) -> list[Row]:
    """The rows that the request asks for; raises `Refused` as vLLM does."""
    if request.model is not None and request.model != served.name:
        message = f"The model `{request.model}` does not exist: this server has `{served.name}`."
        raise Refused(404, message, "model")
    prompts = _prompts(served, request)
    if not prompts:
        message = "input is empty: give at least one prompt"
        raise Refused(400, message, "input")
    return [_row(served, request, ids) for ids in prompts]


def _prompts(served: Served, request: PoolingRequest) -> list[list[int]]:
    given = request.input
    if given is None:
        return [_conversation(served, request)]
    if isinstance(given, str):
        return [_ids(served, request, given)]
    found: list[list[int]] = []
    for one in given:
        if isinstance(one, int):
            return [cast("list[int]", given)]
        found.append(_ids(served, request, one) if isinstance(one, str) else one)
    return found


def _ids(served: Served, request: PoolingRequest, text: str) -> list[int]:
    special = request.add_special_tokens is not False
    found: list[int] = served.tokenizer(text, add_special_tokens=special)["input_ids"]
    return found


def _conversation(served: Served, request: PoolingRequest) -> list[int]:
    if not served.tokenizer.chat_template:
        message = "messages need a chat template, and this model has none: send input"
        raise Refused(400, message, "messages")
    if request.add_generation_prompt and request.continue_final_message:
        message = "add_generation_prompt and continue_final_message cannot both be true"
        raise Refused(400, message, "continue_final_message")
    turns = [message.model_dump() for message in request.messages or ()]
    try:
        text = served.tokenizer.apply_chat_template(
            turns,
            tokenize=False,
            add_generation_prompt=request.add_generation_prompt,
            continue_final_message=request.continue_final_message,
        )
    except (TemplateError, ValueError) as error:
        message = f"the chat template does not take these messages: {error}"
        raise Refused(400, message, "messages") from error
    special = bool(request.add_special_tokens)  # the template writes its own
    found: list[int] = served.tokenizer(text, add_special_tokens=special)["input_ids"]
    return found


def _row(served: Served, request: PoolingRequest, ids: list[int]) -> Row:
    keep = request.truncate_prompt_tokens
    if keep is not None:
        if keep == 0 or keep > served.window:
            message = f"truncate_prompt_tokens is {keep}: give -1, or 1 to {served.window}"
            raise Refused(400, message, "truncate_prompt_tokens")
        ids = ids[-(served.window if keep == -1 else keep) :]
    if len(ids) > served.window:
        message = (
            f"This model's maximum context length is {served.window} tokens. However, your request has "
            f"{len(ids)} input tokens. Please reduce the length of the input."
        )
        raise Refused(400, message, "input")
    if not ids:
        message = "a prompt has no tokens"
        raise Refused(400, message, "input")
    if not 0 <= min(ids) <= max(ids) < served.vocabulary:
        message = f"token ids must be 0 to {served.vocabulary - 1}, not {min(ids)} to {max(ids)}"
        raise Refused(400, message, "input")
    return Row(tuple(ids), _read_at(served, ids))


def _read_at(served: Served, ids: Sequence[int]) -> tuple[int, ...]:
    if served.tag is None:
        return tuple(range(len(ids)))
    return tuple(position for position, token in enumerate(ids) if token == served.tag)


def reply_of(
    served: Served, request: PoolingRequest, rows: Sequence[Row], computed: Computed
) -> dict[str, object]:
    """The reply as vLLM writes it; `cached_tokens` are those that were kept from earlier requests."""
    tokens = sum(len(row.ids) for row in rows)
    activated = request.use_activation is not False
    data = [
        {
            "index": index,
            "object": "pooling",
            "data": _written(request, [_activated(one, activated) for one in outputs]),
        }
        for index, outputs in enumerate(computed.outputs)
    ]
    usage = {
        "prompt_tokens": tokens,
        "total_tokens": tokens,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": max(tokens - sum(computed.tokens), 0)},
    }
    return {
        "id": f"pooling-{request.request_id or uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": served.name,
        "data": data,
        "usage": usage,
    }


def _activated(logits: Sequence[float], wanted: bool) -> list[float]:
    """Softmax, or the logistic function of a single output.

    >>> _activated([0.0, 0.0], True), _activated([0.0], True), _activated([3.0], False)
    ([0.5, 0.5], [0.5], [3.0])
    """
    if not wanted:
        return list(logits)
    both = (*logits, 0.0) if len(logits) == 1 else logits
    top = max(both)
    powers = [math.exp(logit - top) for logit in both]
    total = math.fsum(powers)
    return [power / total for power in powers[: len(logits)]]


def _written(request: PoolingRequest, values: list[list[float]]) -> object:
    if request.encoding_format == "float":
        return [
            [value if math.isfinite(value) else None for value in row] for row in values
        ]  # JSON has no NaN
    flat = [value for row in values for value in row]
    return base64.b64encode(struct.pack(f"<{len(flat)}f", *flat)).decode()
