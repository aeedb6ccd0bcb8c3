"""`/pooling` as vLLM has it: what is taken, what is refused and how, and that nothing waits on the event loop."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError

from adaptive_middleware import lab, pretrained
from adaptive_middleware.errors import CheckpointError, ScorerError
from adaptive_middleware.scoring.device import Device, Stats
from adaptive_middleware.scoring.local import open_model
from adaptive_middleware.server.app import Limits, application
from adaptive_middleware.server.pooling import Served, rows_of, step_tag
from adaptive_middleware.server.requests import PoolingRequest, Refused, parsed
from tests import tiny
from tests.server.loopback import Held, eventually, running

TOKENIZER = pretrained.load_tokenizer(pretrained.find(lab.PRM))
TAG = step_tag("qwen-math-prm", TOKENIZER)
assert TAG is not None
SERVED = Served("lab", TOKENIZER, 16, 536, TAG)


def softmax(*logits: float) -> list[float]:
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


class Site:
    """A server whose engine answers logits 0 and 1 at every position."""

    def __init__(self, url: str, engine: Held) -> None:
        self.url, self.engine = url, engine
        self.client = httpx2.Client(base_url=url, timeout=30)

    def post(self, **body: Any) -> httpx2.Response:
        return self.client.post("/pooling", json={"model": "lab", **body})

    def scored(self, *logits: float, **body: Any) -> Any:
        """The reply to a request whose job is answered with `logits`."""
        found: list[httpx2.Response] = []
        asking = threading.Thread(target=lambda: found.append(self.post(**body)))
        before = len(self.engine.futures)
        asking.start()
        eventually(lambda: len(self.engine.futures) > before or found)
        if len(self.engine.futures) > before:
            self.engine.answer(before, *(logits or (0.0, 1.0)))
        asking.join()
        return found[0].json()


@contextmanager
def serving(served: Served, limits: Limits | None = None) -> Iterator[Site]:
    engine = Held()
    with running(application(served, engine, limits=limits)) as url:
        one = Site(url, engine)
        with one.client:
            yield one
    assert engine.closed


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(SERVED, Limits(body_bytes=2000, body_seconds=0.3, rows=4, tokens=20)) as one:
        yield one


def test_step_pooling_gives_a_softmax_row_for_each_step_tag(site: Site) -> None:
    reply = site.scored(input=[5, TAG, 6, 7, TAG], task="token_classify", request_id="mine")
    assert site.engine.rows[0][0].positions == (1, 4)
    assert reply["data"][0]["data"] == [pytest.approx(softmax(0, 1))] * 2
    assert (reply["id"], reply["object"], reply["model"]) == ("pooling-mine", "list", "lab")
    assert [(one["index"], one["object"]) for one in reply["data"]] == [(0, "pooling")]
    counts = {"prompt_tokens": 5, "total_tokens": 5, "completion_tokens": 0}
    assert reply["usage"] == {**counts, "prompt_tokens_details": {"cached_tokens": 0}}


def test_all_pooling_gives_a_row_for_each_token() -> None:
    with serving(Served("lab", TOKENIZER, 16, 536, None)) as site:
        reply = site.scored(2.0, input=[[5, 6, 7], [8]])
    assert [row.positions for row in site.engine.rows[0]] == [(0, 1, 2), (0,)]
    one = pytest.approx([1 / (1 + math.exp(-2))])
    assert [item["data"] for item in reply["data"]] == [[one] * 3, [one]]


def test_logits_without_activation(site: Site) -> None:
    assert site.scored(-3.0, 4.5, input=[TAG], use_activation=False)["data"][0]["data"] == [[-3.0, 4.5]]


def test_base64_is_little_endian_float32_of_the_rows(site: Site) -> None:
    reply = site.scored(-3.0, 4.5, input=[TAG, TAG], use_activation=False, encoding_format="base64")
    assert struct.unpack("<4f", base64.b64decode(reply["data"][0]["data"])) == (-3.0, 4.5, -3.0, 4.5)


def test_a_score_that_is_not_a_number_is_null(site: Site) -> None:
    reply = site.scored(math.nan, math.inf, input=[TAG], use_activation=False)
    assert reply["data"][0]["data"] == [[None, None]]


def test_text_is_tokenised_with_its_step_tags(site: Site) -> None:
    text = "2<extra_0>3<extra_0>"
    site.scored(input=["1", text])
    site.scored(input=text, add_special_tokens=False)
    ids = TOKENIZER(text)["input_ids"]
    assert [row.ids for row in site.engine.rows[0]] == [tuple(TOKENIZER("1")["input_ids"]), tuple(ids)]
    assert site.engine.rows[1][0].ids == tuple(ids)
    assert len(site.engine.rows[1][0].positions) == 2


def test_messages_are_rendered_by_the_chat_template() -> None:
    turns = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2<extra_0>"}]
    with serving(Served("lab", TOKENIZER, 400, 536, TAG)) as site:
        site.scored(messages=turns)
    text = TOKENIZER.apply_chat_template(turns, tokenize=False)
    assert site.engine.rows[0][0].ids == tuple(TOKENIZER(text, add_special_tokens=False)["input_ids"])
    assert len(site.engine.rows[0][0].positions) == 1


def test_truncation_keeps_the_last_tokens(site: Site) -> None:
    ids = list(range(5, 25))
    for keep in (3, -1):
        site.scored(input=ids, truncate_prompt_tokens=keep)
    assert [rows[0].ids for rows in site.engine.rows] == [tuple(ids[-3:]), tuple(ids[-16:])]


REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"input": [5] * 17}, 400, "input", "maximum context length is 16 tokens"),
    ({"input": [5], "model": "other"}, 404, "model", "The model `other` does not exist"),
    ({"input": [5], "normalize": True}, 400, "normalize", "not supported"),
    ({"input": [5], "dimensions": 4}, 400, "dimensions", "not supported"),
    ({"messages": [{"role": "user", "content": "a"}], "chat_template": "x"}, 400, "chat_template", "not"),
    ({"input": [5], "encoding_format": "bytes"}, 400, "encoding_format", "'float' or 'base64'"),
    ({"input": [5], "encoding_format": "base64", "embed_dtype": "float16"}, 400, "embed_dtype", "float32"),
    ({"input": [5], "task": "embed"}, 400, "task", "token_classify"),
    ({"input": [5], "truncate_prompt_tokens": 17}, 400, "truncate_prompt_tokens", "1 to 16"),
    ({"input": [5], "truncate_prompt_tokens": 0}, 400, "truncate_prompt_tokens", "1 to 16"),
    ({"input": [5], "truncate_prompt_tokens": -2}, 400, "truncate_prompt_tokens", "greater than"),
    ({"input": [5, 536]}, 400, "input", "token ids must be 0 to 535"),
    ({"input": [5, -1]}, 400, "input", "token ids must be 0 to 535"),
    ({"input": [5, "a"]}, 400, "input", "a list of lists of token ids"),
    ({"input": [[5], "a"]}, 400, "input", "a list of lists of token ids"),
    ({"input": 5}, 400, "input", "give a text"),
    ({"input": []}, 400, "input", "empty"),
    ({"input": [[]]}, 400, "input", "no tokens"),
    ({"input": ""}, 400, "input", "no tokens"),
    ({"input": [[5]] * 5}, 400, "input", "at most 4 prompts"),
    ({"input": [[5] * 11] * 2}, 400, "input", "2 prompts of 22 tokens"),
    ({}, 400, "input", "either input or messages"),
    ({"input": [5], "messages": [{"role": "user", "content": "a"}]}, 400, "input", "either"),
    ({"messages": []}, 400, "messages", "at least 1"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, 400, "messages", "string"),
    (
        {
            "messages": [{"role": "user", "content": "a"}],
            "add_generation_prompt": True,
            "continue_final_message": True,
        },
        400,
        "continue_final_message",
        "both",
    ),
]


@pytest.mark.parametrize(("body", "status", "param", "words"), REFUSALS, ids=lambda each: str(each)[:60])
def test_what_cannot_be_answered_is_refused_as_vllm_does(
    site: Site, body: dict[str, Any], status: int, param: str, words: str
) -> None:
    reply = site.post(**body)
    error = reply.json()["error"]
    kind = "NotFoundError" if status == 404 else "BadRequestError"
    assert (reply.status_code, error["code"], error["type"], error["param"]) == (status, status, kind, param)
    assert words in error["message"]
    assert site.engine.futures == []


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff\xfe", b'{"input": NaN}'])
def test_a_body_that_is_no_request_is_a_400(site: Site, body: bytes) -> None:
    reply = site.client.post("/pooling", content=body)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "BadRequestError")


keys = st.sampled_from(list(PoolingRequest.model_fields)) | st.text(max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(keys, values, max_size=6) | values)
def test_any_json_is_understood_or_refused(body: object) -> None:
    refused, rows = None, []
    try:
        rows = rows_of(SERVED, parsed(json.dumps(body).encode()))
    except Refused as error:
        refused = error
    assert (refused is None) is bool(rows)
    assert refused is None or (refused.status in {400, 404} and json.dumps(refused.body))
    assert all(0 < len(row.ids) <= 16 for row in rows)


def test_unknown_fields_are_ignored(site: Site) -> None:
    assert site.scored(input=[TAG], priority=3, cache_salt="x", nobody="knows")["object"] == "list"


def test_a_model_without_a_chat_template_refuses_messages() -> None:
    class Plain:
        chat_template = None

    with running(application(Served("lab", Plain(), 16, 536, TAG), Held())) as url:
        reply = httpx2.post(url + "/pooling", json={"messages": [{"role": "user", "content": "a"}]})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "messages")
    assert "chat template" in reply.json()["error"]["message"]


def test_messages_that_the_template_refuses_are_a_400() -> None:
    class Strict:
        chat_template = "yes"

        def apply_chat_template(self, *_: object, **__: object) -> str:
            raise TemplateError("roles must alternate")

    with running(application(Served("lab", Strict(), 16, 536, TAG), Held())) as url:
        reply = httpx2.post(url + "/pooling", json={"messages": [{"role": "user", "content": "a"}]})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "messages")
    assert "roles must alternate" in reply.json()["error"]["message"]


def test_a_body_over_the_cap_is_a_413_whether_its_length_is_said_or_not(site: Site) -> None:
    assert site.client.post("/pooling", content=b" " * 2001).status_code == 413
    reply = site.client.post("/pooling", content=iter([b" " * 1500, b" " * 1500]))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, 413)


def test_a_body_that_does_not_arrive_is_a_408(site: Site) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"POST /pooling HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert raw.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(("held", "more"), [([[TAG]] * 3, [[TAG]] * 2), ([[TAG] * 12], [[TAG] * 9])])
def test_overload_is_a_503_that_says_when_to_come_again_and_passes(
    site: Site, held: list[list[int]], more: list[list[int]]
) -> None:
    first = threading.Thread(target=site.post, kwargs={"input": held})
    first.start()
    eventually(lambda: site.engine.futures)
    refused = site.post(input=more)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["type"] == "ServiceUnavailableError"
    site.engine.answer(0, 0.0, 0.0)
    first.join()
    assert site.scored(input=more)["object"] == "list"


def test_a_client_that_goes_away_cancels_its_queued_work(site: Site) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        site.client.post("/pooling", json={"input": [TAG]}, timeout=0.3)
    eventually(site.engine.futures[0].cancelled)
    eventually(lambda: "adaptive_prm_held_rows 0.0" in site.client.get("/metrics").text)
    assert 'requests_total{status="499"} 1.0' in site.client.get("/metrics").text


@pytest.mark.parametrize("error", [ScorerError("no memory to score"), RuntimeError("secret detail")])
def test_a_model_that_fails_is_a_500_without_its_insides(site: Site, error: Exception) -> None:
    found: list[httpx2.Response] = []
    asking = threading.Thread(target=lambda: found.append(site.post(input=[TAG])))
    asking.start()
    eventually(lambda: site.engine.futures)
    site.engine.futures[0].set_exception(error)
    asking.join()
    assert (found[0].status_code, found[0].json()["error"]["type"]) == (500, "InternalServerError")
    assert ("no memory" in found[0].text) is isinstance(error, ScorerError)
    assert "secret detail" not in found[0].text
    assert 'requests_total{status="500"} 1.0' in site.client.get("/metrics").text


def test_health_models_and_metrics(site: Site) -> None:
    site.engine.stats = Stats(7, 11, 13, 17, 19, 23, 29, None)
    assert site.client.get("/health").status_code == 200
    (card,) = site.client.get("/v1/models").json()["data"]
    assert (card["id"], card["max_model_len"]) == ("lab", 16)
    shown = site.client.get("/metrics")
    assert shown.headers["content-type"].startswith("text/plain")
    for line in (
        "computed_tokens_total 11.0",
        "reused_tokens_total 13.0",
        "packs_total 17.0",
        "kv_bytes 19.0",
    ):
        assert f"adaptive_prm_{line}" in shown.text
    for line in ("queued_rows 7.0", "evictions_total 23.0", "oom_retries_total 29.0"):
        assert f"adaptive_prm_{line}" in shown.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/pooling", 405), ("GET", "/nope", 404)])
def test_pages_that_are_not_there_are_errors_of_the_same_form(
    site: Site, method: str, path: str, status: int
) -> None:
    reply = site.client.request(method, path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, status)


def test_health_answers_while_a_score_is_computed() -> None:
    """The real engine, kept busy by a model that waits for the probe's answer."""
    opened = open_model(lab.PRM)
    computing, probed = threading.Event(), threading.Event()

    def busy(*_: object) -> None:
        computing.set()
        probed.wait()

    device = Device(opened.network)
    opened.network.head.register_forward_hook(busy)

    async def both(url: str) -> tuple[int, int]:
        async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
            scoring = asyncio.create_task(client.post("/pooling", json={"input": [5, TAG]}))
            await asyncio.to_thread(computing.wait)
            health = await client.get("/health")
            assert not scoring.done()
            probed.set()
            return health.status_code, (await scoring).status_code

    with running(application(SERVED, device)) as url:
        assert asyncio.run(both(url)) == (200, 200)


@pytest.mark.parametrize(
    ("family", "tag"), [("qwen-math-prm", True), ("skywork-prm", False), ("reasoneval", False)]
)
def test_families_with_a_step_tag_are_read_there_and_others_everywhere(family: str, tag: bool) -> None:
    assert (step_tag(family, TOKENIZER) is not None) is tag


def test_math_shepherd_is_read_at_its_marker(tmp_path: Any) -> None:
    tokenizer = pretrained.load_tokenizer(pretrained.find(tiny.math_shepherd(tmp_path)))
    tag = step_tag("math-shepherd", tokenizer)
    assert "ки" in tokenizer.decode([tag])


@pytest.mark.parametrize("family", ["judge", "rlhflow"])
def test_other_families_are_refused_by_name(family: str) -> None:
    with pytest.raises(CheckpointError, match=f"the family '{family}' cannot be served by pooling"):
        step_tag(family, TOKENIZER)
