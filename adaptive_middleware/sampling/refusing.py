"""Whether a provider that refuses a request does so because it does not stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from adaptive_middleware.errors import NotStreaming

_STREAM = re.compile(r"\bstream", re.IGNORECASE)


def refuses_streams(status: object, said: str) -> bool:
    """Whether HTTP `status` and the words with it refuse a stream; taken so wrongly, whole answers are asked for.

    >>> refuses_streams(400, "'stream' is not supported"), refuses_streams(422, "Streaming is off for this model")
    (True, True)
    >>> refuses_streams(400, "the upstream is not known"), refuses_streams(503, "no stream")
    (False, False)
    """
    return status in {400, 422} and _STREAM.search(said) is not None


@contextmanager
def told_apart() -> Iterator[None]:
    """Inside, a client's own error that refuses a stream becomes `NotStreaming`; any other leaves as it came.

    The clients of OpenAI, Anthropic and others keep the HTTP status of an error in `status_code`.
    """
    try:
        yield
    except Exception as error:
        if refuses_streams(getattr(error, "status_code", None), str(error)):
            message = f"the provider does not stream: {error}"
            raise NotStreaming(message) from error
        raise
