"""F17 and F18 in the store of kept calls: a client that leaves is a call without an answer, with what it had cost."""

from __future__ import annotations

import threading
from pathlib import Path as File

import pytest

from adaptive_middleware.errors import TraceError
from adaptive_middleware.testing.fake_sse import Script, chunk, fake_sse, whole_reply
from adaptive_middleware.trace.reading import Kept, Search, found
from tests.faults.test_clients import REPLY, asking
from tests.proxy.site import THREE, proxied
from tests.server.threaded import eventually

pytestmark = pytest.mark.fault


def kept(store: File) -> list[Kept]:
    try:
        return list(found(store, Search(failed=True)))
    except TraceError:
        return []


@pytest.mark.parametrize("stream", [True, False], ids=["test_f17 streamed", "test_f18 whole"])
def test_f17_f18_a_client_that_leaves_is_kept_with_what_its_call_had_cost(
    tmp_path: File, stream: bool
) -> None:
    store, begin = tmp_path / "t.db", [chunk("One")] if stream else [whole_reply(REPLY)[:40]]
    script: Script = [*begin, threading.Event()]
    trace = {"path": str(store)}
    with (
        fake_sse({"m": script}) as upstream,
        proxied(upstream.url, {"default": THREE}, trace=trace) as url,
    ):
        with asking(url, {"stream": stream}):
            eventually(lambda: len(upstream.asked) == 3)
        eventually(lambda: len(kept(store)) == 1)
    (call,) = kept(store)
    assert (call.unanswered, call.samples, call.rule) == ("cancelled", 3, "default")
    used = call.details["usage"]
    assert (used["requests"], used["prompt_tokens"], used["estimated"]) == (3, 3, True)
