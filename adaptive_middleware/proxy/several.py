"""Several answers by one request (`n`): the prompt is sent, and paid for, once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adaptive_middleware.proxy.body import Body, NotAnObject
from adaptive_middleware.proxy.upstream import Reply, Unusable
from adaptive_middleware.transport.wire import FOREIGN
from adaptive_middleware.types import Usage

Json = Mapping[str, Any]


def replies_of(reply: Reply, most: int) -> list[Reply]:
    """A reply for each choice of one, at most `most`; the `usage` of all of them is that of the first, so that sums hold.

    One with a single choice, or none, is left as it came. Raises `Unusable` for what is no completion.
    """
    try:
        values = Body.read(reply.body).values
        choices = values["choices"][:most]
        if len(choices) < 2:
            return [reply]
        return [
            Reply(reply.status, reply.headers, _of_one(values, choice, k)) for k, choice in enumerate(choices)
        ]
    except (*FOREIGN, NotAnObject) as error:
        raise Unusable(reply) from error


def _of_one(values: Json, choice: Json, number: int) -> bytes:
    kept = {name: value for name, value in values.items() if name != "usage" or not number}
    return json.dumps({**kept, "choices": [{**choice, "index": 0}]}, ensure_ascii=False).encode()


def shared(cost: Usage, n: int) -> list[Usage]:
    """What each of `n` answers of one request cost: the first has the prompt, the completion is shared evenly.

    >>> [one.completion_tokens for one in shared(Usage(10, 8, requests=1), 3)]
    [4, 2, 2]
    """
    share, extra = divmod(cost.completion_tokens, n)
    first = replace(cost, completion_tokens=share + extra)
    return [first, *[Usage(completion_tokens=share)] * (n - 1)]
