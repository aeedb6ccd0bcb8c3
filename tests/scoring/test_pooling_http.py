"""Replicas that are busy, dead, slow or talk nonsense: the next one answers, or a typed error says what each did."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from math import inf, nan
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware import Middleware, Request, best_of_n, fixed, lab
from adaptive_middleware.errors import CheckpointError, ConfigError, ScorerError
from adaptive_middleware.scoring import pooling_http
from adaptive_middleware.scoring.breaker import Breaker
from adaptive_middleware.scoring.pooling_http import PoolingScorer, pooling_scorer
from adaptive_middleware.scoring.pooling_reply import READINGS, Reply, items, scores
from adaptive_middleware.scoring.replicas import Broken, Unavailable, ranked
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.tokenizer_only import open_tokenizer
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.testing.fake_sse import (
    CUT,
    RESET,
    Item,
    Script,
    StreamServer,
    fake_sse,
    whole_reply,
)
from adaptive_middleware.types import Path, StepScores
from tests import tiny

PATHS = [Path(("one\n\n", "two")), Path()]
ROWS = [[[0.25, 0.75], [0.5, 0.5]], [[0.9, 0.1]]]
Score = Callable[[PoolingScorer, Request], list[StepScores]]


def reply(data: Sequence[object] = ROWS, **changed: object) -> dict[str, object]:
    made = [{"index": index, "object": "pooling", "data": one} for index, one in enumerate(data)]
    return {"object": "list", "model": "prm", "data": made, "usage": {"prompt_tokens": 9}} | changed


GOOD: Script = [whole_reply(reply())]
BUSY: Script = [whole_reply({"error": {"message": "busy"}}, status=503, retry_after="0")]
HTML: Script = [whole_reply(b"<html>Sign in</html>", kind="text/html")]
BIG = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + b'{"model": "prm", "data": ['
BAD: Mapping[str, tuple[Sequence[Item], str]] = {
    "busy": (BUSY, "busy, HTTP 503"),
    "too many requests": ([whole_reply(b"{}", status=429)], "busy, HTTP 429"),
    "failing": ([whole_reply(b"oops", status=500)], "HTTP 500: oops"),
    "html": (HTML, "no JSON (JSONDecodeError): <html>Sign in"),
    "an error with status 200": ([whole_reply({"error": {"message": "no"}})], "JSON without scores"),
    "a list": ([whole_reply([1])], "JSON without scores"),
    "not utf-8": ([whole_reply(b"\xff\xfe{")], "no JSON"),
    "deep": ([whole_reply(b"[" * 200_000)], "no JSON (RecursionError)"),
    "truncated JSON": ([whole_reply(json.dumps(reply()).encode()[:-9])], "no JSON"),
    "cut": ([b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{", CUT], "RemoteProtocolError"),
    "reset": ([b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{", RESET], "ReadError"),
    "too few": ([whole_reply(reply(ROWS[:1]))], "1 results for 2 inputs"),
    "twice the same": ([whole_reply(reply() | {"data": [{"index": 0}] * 2})], "2 results for 2 inputs"),
    "unhashable": (
        [whole_reply(reply() | {"data": [{"index": []}, {"index": {}}]})],
        "2 results for 2 inputs",
    ),
    "endless": ([BIG, *[b"0," * 40_000] * 30], "a reply of more than 1000000 bytes"),
    "compressed": ([whole_reply(b"\x1f\x8b\x08", content_encoding="gzip")], "no JSON"),
}


def synchronous(scorer: PoolingScorer, request: Request) -> list[StepScores]:
    return scorer.score(request, PATHS)


def asynchronous(scorer: PoolingScorer, request: Request) -> list[StepScores]:
    return asyncio.run(scorer.ascore(request, PATHS))


both = pytest.mark.parametrize("score", [synchronous, asynchronous])


def scorer(*urls: str, **settings: Any) -> PoolingScorer:
    chosen: dict[str, Any] = {"family": "qwen-math-prm", "model": "prm", "timeout": 20.0} | settings
    return pooling_scorer(urls, tokenizer=lab.PRM, **chosen)


def first_at(url: str, urls: Sequence[str]) -> Request:
    """A question whose first replica is `url`."""
    return next(Request(text) for text in map(str, range(1000)) if ranked(urls, text)[0] == url)


class Pair:
    """A bad replica that is asked first, and a good one."""

    def __init__(self, stack: ExitStack, script: Script) -> None:
        self.bad: StreamServer = stack.enter_context(fake_sse({"prm": script}))
        self.good: StreamServer = stack.enter_context(fake_sse({"prm": GOOD}))
        self.urls = (self.bad.url, self.good.url)
        self.request = first_at(self.bad.url, self.urls)


@both
@pytest.mark.parametrize("how", BAD)
def test_the_next_replica_answers_for_one_that_does_not(
    monkeypatch: pytest.MonkeyPatch, how: str, score: Score
) -> None:
    monkeypatch.setattr(pooling_http, "_REPLY_BYTES", 1_000_000)
    with ExitStack() as stack:
        pair = Pair(stack, BAD[how][0])
        found = score(scorer(*pair.urls), pair.request)
        assert [one.values for one in found] == [(0.75, 0.5), (0.1,)]
        assert (len(pair.bad.asked), len(pair.good.asked)) == (1, 1)
        assert pair.bad.asked == pair.good.asked
        assert set(pair.bad.paths) == {"/v1/pooling"}


@pytest.mark.parametrize("how", BAD)
def test_where_there_is_no_other_the_error_says_what_it_did(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(pooling_http, "_REPLY_BYTES", 1_000_000)
    script, words = BAD[how]
    with fake_sse({"prm": script}) as server:
        with pytest.raises(ScorerError) as raised:
            scorer(server.url).score(Request("q"), PATHS)
        asked_again = how in {"busy", "too many requests", "cut", "reset"}
        assert len(server.asked) == 1 + asked_again
    assert server.url in str(raised.value)
    assert words in str(raised.value)


@both
def test_a_replica_that_is_not_there_is_passed_over(score: Score) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with fake_sse({"prm": GOOD}) as good:
        request = first_at(dead, (dead, good.url))
        assert score(scorer(dead, good.url), request)[0].values == (0.75, 0.5)
    with pytest.raises(ScorerError, match=f"no replica scored: {dead} .*ConnectError"):
        score(scorer(dead), request)


@both
@pytest.mark.parametrize("script", [[30.0, *GOOD], [whole_reply(reply())[:200], 30.0]])
def test_a_replica_that_hangs_is_given_up_after_the_timeout(script: Script, score: Score) -> None:
    with ExitStack() as stack:
        pair = Pair(stack, script)
        assert score(scorer(*pair.urls, timeout=0.3), pair.request)[0].values == (0.75, 0.5)
        assert len(pair.bad.asked) == 1


@both
def test_a_reply_that_trickles_is_given_up_too(score: Score) -> None:
    trickle: list[Item] = [whole_reply(reply())[:60]]
    for _ in range(60):
        trickle += [0.05, b" "]
    with fake_sse({"prm": trickle}) as server:
        with pytest.raises(ScorerError, match=r"no replica scored: .*Timeout"):
            score(scorer(server.url, timeout=0.4), Request("q"))
        assert len(server.asked) == 2


@both
def test_the_calls_deadline_is_kept_and_is_no_replicas_fault(score: Score) -> None:
    with fake_sse({"prm": [30.0, *GOOD]}) as server:
        one = scorer(server.url)
        for _ in range(4):
            with pytest.raises(ScorerError, match=r"deadline|no replica scored"):
                score(one, Request("q", deadline=time.monotonic() + 0.2))
        assert one.replicas.breakers[server.url].admits()
        assert len(server.asked) == 4


@both
def test_no_wait_for_a_replica_that_asks_for_more_time_than_there_is(score: Score) -> None:
    script = [whole_reply(b"{}", status=503, retry_after="30")]
    with fake_sse({"prm": script}) as server:
        with pytest.raises(ScorerError, match="busy, HTTP 503"):
            score(scorer(server.url), Request("q", deadline=time.monotonic() + 20))
        assert len(server.asked) == 1


def test_a_replica_that_keeps_failing_is_not_asked_until_its_trial() -> None:
    now = [0.0]
    with ExitStack() as stack:
        pair = Pair(stack, HTML)
        one = scorer(*pair.urls)
        for url in pair.urls:
            one.replicas.breakers[url] = Breaker(3, 10.0, lambda: now[0])
        for _ in range(6):
            assert one.score(pair.request, PATHS)[0].values == (0.75, 0.5)
        assert (len(pair.bad.asked), len(pair.good.asked)) == (3, 6)
        now[0] = 10.0
        one.score(pair.request, PATHS)
        one.score(pair.request, PATHS)
        assert (len(pair.bad.asked), len(pair.good.asked)) == (4, 8)


def test_a_question_always_goes_to_the_same_replica() -> None:
    with fake_sse({"prm": GOOD}) as a, fake_sse({"prm": GOOD}) as b:
        one = scorer(a.url, b.url)
        request = first_at(b.url, (a.url, b.url))
        for _ in range(4):
            one.score(request, PATHS)
        assert (len(a.asked), len(b.asked)) == (0, 4)


def test_replicas_of_different_models_are_an_error_that_names_both() -> None:
    with fake_sse({"prm": [whole_reply(reply(model="other"))]}) as server:
        with pytest.raises(
            ScorerError, match=f"{server.url} serves the model 'other', but 'prm' was asked for"
        ):
            scorer(server.url).score(Request("q"), PATHS)
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413])
def test_a_refusal_is_not_repeated(status: int) -> None:
    script = [whole_reply({"error": {"message": "because"}}, status=status, location="http://127.0.0.1:9/")]
    with fake_sse({"prm": script}) as server:
        with pytest.raises(ScorerError, match=rf"refused to score with 'prm': HTTP {status}: .*because"):
            scorer(server.url).score(Request("q"), PATHS)
        assert len(server.asked) == 1


def test_the_key_goes_in_the_header_and_nowhere_else() -> None:
    seen: list[Mapping[str, Any]] = []

    def script(body: Mapping[str, Any]) -> Script:
        seen.append(body)
        return [whole_reply({"error": "no"}, status=401)]

    with fake_sse({"prm": script}) as server:
        one = scorer(server.url, key="amw_secret")
        with pytest.raises(ScorerError) as raised:
            one.score(Request("q"), PATHS)
    assert one.replicas.headers["authorization"] == "Bearer amw_secret"
    assert "amw_secret" not in str(raised.value) + repr(one.replicas) + repr(seen)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([[0.25, 0.75]], "1 rows for 2"),
        ([[0.25, 0.75]] * 3, "3 rows for 2"),
        (None, "NoneType rows for 2"),
        ("AAAA", "str rows for 2"),
        ([[0.25, 0.75], [nan, 0.5]], "not a row of 2 probabilities"),
        ([[0.25, 0.75], [inf, 0.5]], "not a row of 2 probabilities"),
        ([[0.25, 0.75], [-0.5, 1.5]], "not a row of 2 probabilities"),
        ([[0.25, 0.75], [None, None]], "not a row of 2 probabilities"),
        ([[0.25, 0.75], [0.2, 0.2]], "not a row of 2 probabilities"),
        ([[0.25, 0.75], [0.5]], "not a row of 2 probabilities"),
        ([[0.25, 0.75], ["0.5", "0.5"]], "not a row of 2 probabilities"),
        ([[0.25, 0.75], 0.5], "not a row of 2 probabilities"),
        ([[0.25, 0.75], [False, True]], "not a row of 2 probabilities"),
        ([[0.25, 0.75], [0, 10**400]], "not a row of 2 probabilities"),
    ],
)
def test_scores_that_cannot_be_trusted_reject_their_path_alone(given: object, reason: str) -> None:
    with fake_sse({"prm": [whole_reply(reply([given, ROWS[1]]))]}) as server:
        first, second = scorer(server.url).score(Request("q"), PATHS)
    assert first.values == ()
    assert reason in str(first.rejected)
    assert (second.values, second.rejected) == ((0.1,), None)


@pytest.mark.parametrize(
    ("family", "given", "values"),
    [
        ("qwen-math-prm", [[0.3, 0.7], [0.0005, 1.0]], (0.7, 1.0)),
        ("math-shepherd", [[0.3, 0.7], [1, 0]], (0.3, 1.0)),
        ("skywork-prm", [[0.1], [0.2], [0.3], [0.4], [0.5]], (0.2, 0.5)),
        ("reasoneval", [[1.0, 0, 0], [0.2, 0.3, 0.5], [1.0, 0, 0], [1.0, 0, 0], [0, 0.5, 0.501]], (0.8, 1.0)),
    ],
)
def test_each_family_reads_its_own_columns_and_positions(
    family: str, given: object, values: tuple[float, ...]
) -> None:
    found = scores(READINGS[family], Row((9, 8, 7, 6, 5), (1, 4)), 3, given, 2)
    assert found.values == pytest.approx(values)
    assert (found.first, found.tokens, found.rejected) == (3, 3, None)


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 4}}, 4),
        ({"prompt_tokens_details": {"cached_tokens": -4}}, 0),
        ({"prompt_tokens_details": {"cached_tokens": "4"}}, 0),
        ({"prompt_tokens_details": None}, 0),
        (None, 0),
    ],
)
def test_cached_tokens_are_counted_where_they_are_told(usage: object, cached: int) -> None:
    body = json.dumps(reply([[[0.5, 0.5]]], usage=usage)).encode()
    assert items(Reply(200, body), "http://a", "prm", 1) == ([[[0.5, 0.5]]], cached)


def test_cached_tokens_are_taken_from_the_rows_in_order() -> None:
    usage = {"prompt_tokens_details": {"cached_tokens": 5}}
    with fake_sse(
        {
            "prm": [
                whole_reply(reply()),
            ]
        }
    ) as server:
        whole = scorer(server.url).score(Request("q"), PATHS)
    with fake_sse({"prm": [whole_reply(reply(usage=usage))]}) as server:
        found = scorer(server.url).score(Request("q"), PATHS)
    assert sum(one.tokens for one in found) == sum(one.tokens for one in whole) - 5


def test_a_call_goes_on_by_votes_when_no_replica_answers() -> None:
    with fake_sse({"prm": HTML}) as server:
        middleware = Middleware(best_of_n(fixed(2)), scorer=scorer(server.url))
        outcome = middleware.run(Request("q"), ScriptedSampler([answer("1"), answer("1")]))
    assert outcome.chosen.text == "1"
    assert any("no replica" in cause for cause in outcome.degraded)


def test_many_concurrent_calls_leave_no_connection_open() -> None:
    async def all_at_once(one: PoolingScorer) -> list[list[StepScores]]:
        calls = [one.ascore(Request(f"question {n}"), PATHS) for n in range(100)]
        return await asyncio.gather(*calls)

    with fake_sse({"prm": GOOD}) as a, fake_sse({"prm": GOOD}) as b:
        found = asyncio.run(all_at_once(scorer(a.url, b.url)))
        assert all(one[0].values == (0.75, 0.5) for one in found)
        assert len(a.asked) + len(b.asked) == 100
        assert min(len(a.asked), len(b.asked)) > 20
        while a.open or b.open:
            time.sleep(0.01)


def test_cancelled_calls_leave_the_client_usable() -> None:
    async def churn(slow: PoolingScorer) -> list[StepScores]:
        for _ in range(5):
            calls = [asyncio.create_task(slow.ascore(Request("q"), PATHS)) for _ in range(10)]
            await asyncio.sleep(0.02)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        return await slow.ascore(Request("q"), PATHS)

    with fake_sse({"prm": [whole_reply(reply())[:30], 0.1, whole_reply(reply())[30:]]}) as server:
        assert asyncio.run(churn(scorer(server.url)))[0].values == (0.75, 0.5)
        while server.open:
            time.sleep(0.01)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["index", "data"]), inner),
    max_leaves=8,
)


@given(anything, anything, anything, st.sampled_from([200, 200, 429, 503, 500, 404]), st.text(max_size=3))
def test_whatever_a_server_says_is_a_score_or_a_reason(
    data: object, usage: object, model: object, status: int, wait: str
) -> None:
    body = json.dumps({"data": data, "usage": usage, "model": model or "prm"}).encode()
    try:
        (item,), cached = items(Reply(status, body, wait), "http://a", "prm", 1)
    except (Unavailable, Broken, ScorerError):
        return
    found = scores(READINGS["qwen-math-prm"], Row((1, 2), (1,)), 0, item, cached)
    assert (found.rejected is None) is (len(found.values) == 1)
    assert all(0.0 <= value <= 1.0 for value in found.values)


@pytest.mark.parametrize(
    ("wait", "seconds"), [("7", 7.0), ("\xb2", None), ("Wed, 21 Oct", None), (None, None)]
)
def test_how_long_a_busy_server_asks_to_wait(wait: str | None, seconds: float | None) -> None:
    with pytest.raises(Unavailable) as raised:
        items(Reply(503, b"", wait), "http://a", "prm", 1)
    assert raised.value.wait == seconds


@pytest.mark.parametrize("url", ["ftp://a", "http://", "a:80", "http://[::"])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the address of a server"):
        scorer(url)


@pytest.mark.parametrize("family", [None, "judge"])
def test_a_family_that_pooling_has_not_is_refused(family: str | None) -> None:
    with pytest.raises(CheckpointError, match="set `family` to one of qwen-math-prm"):
        scorer("http://127.0.0.1:9", family=family)


def test_the_familys_name_may_stand_in_the_models_config(tmp_path: FilePath) -> None:
    folder = tiny.qwen_prm(tmp_path, adaptive_family={"name": "qwen-math-prm", "id": "mine"})
    made = pooling_scorer(["http://127.0.0.1:9"], model="prm", tokenizer=folder)
    assert (made.id, made.replicas.model) == ("mine", "prm")


@pytest.mark.parametrize("spoiled", ["tokenizer.json", "config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b'{"model": 3}'])
def test_a_spoiled_tokenizer_folder_is_named(tmp_path: FilePath, spoiled: str, content: bytes) -> None:
    folder = tiny.qwen_prm(tmp_path)
    (folder / spoiled).write_bytes(content)
    if (spoiled, content) == ("config.json", b'{"model": 3}'):
        open_tokenizer(folder)
        return
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        open_tokenizer(folder)


def test_weights_are_not_needed(tmp_path: FilePath) -> None:
    folder = tiny.qwen_prm(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    tokenizer, options = open_tokenizer(folder)
    assert tokenizer("a")["input_ids"]
    assert options.name is None


def test_a_hub_name_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", _offline)
    with pytest.raises(CheckpointError, match="the hub did not give its tokenizer"):
        open_tokenizer("nobody/nothing")


def test_a_hub_name_is_downloaded_without_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: FilePath
) -> None:
    folder = tiny.qwen_prm(tmp_path)
    asked: list[Sequence[str]] = []

    def download(name: str, *, allow_patterns: Sequence[str]) -> str:
        asked.append(allow_patterns)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert open_tokenizer("some/model")[0]("a")["input_ids"]
    assert not any("safetensors" in pattern for pattern in asked[0])


def _offline(*_: object, **__: object) -> str:
    raise OSError("offline")


def test_the_client_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from adaptive_middleware import lab\n"
        "from adaptive_middleware.config import load\n"
        "prm = {'kind': 'pooling', 'urls': ['http://127.0.0.1:9'], 'model': 'm', 'tokenizer': str(lab.PRM), 'family': 'qwen-math-prm'}\n"
        "print(load({'version': 1, 'prm': prm}).build().scorer.id)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "lab/prm@023bb2dca56b", done.stderr


async def test_equal_questions_carry_the_same_hash_for_a_proxy_and_any_text_is_taken() -> None:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"x-prompt-hash")))
        writer.write(whole_reply(b"{}", status=400))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        one = scorer(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for text in ("a", "b", "a"):
            with pytest.raises(ScorerError, match="HTTP 400"):
                await one.ascore(Request(text), PATHS)
    assert seen[0] == seen[2] != seen[1]
    assert one.replicas.turn(Request("\ud800")).order == one.replicas.turn(Request("\ud800")).order
