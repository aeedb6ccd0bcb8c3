"""One suite for every pooling server: ours on loopback with real models, and vLLM as its payloads were recorded.

The golden vector is that of vLLM's own test of Qwen2.5-Math-PRM (performance.md); nothing here ran a vLLM.
"""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse
from starlette.routing import Route

from adaptive_middleware import lab
from adaptive_middleware.config import load
from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.local import load_scorer
from adaptive_middleware.scoring.pooling_http import PoolingScorer, pooling_scorer
from adaptive_middleware.server.app import application
from adaptive_middleware.server.model import opened
from adaptive_middleware.types import Path, Request, StepScores
from tests import tiny
from tests.server.loopback import running

GOLDEN = [[0.000636, 0.99951], [0.81885, 0.18127], [0.02554, 0.97461], [0.000438, 0.99951]]
ASKED = Request("Tom has 3 apples and buys 4 more. How many apples has he?")
STEPS = ("He has 3.\n\n", "He buys 4.\n\n", "3 + 4 = 7.\n\n", "The answer is 7.")
PATHS = [Path(STEPS), Path(STEPS[:2]), Path(), Path(("x" * 300, "<extra_0> ки", "\n"))]


async def vllm(request: Asked) -> JSONResponse:
    """What vLLM answers for Qwen2.5-Math-PRM: the golden rows at the step tags, its errors for the rest."""
    body: dict[str, Any] = await request.json()
    if body["model"] != "prm":
        message = f"The model `{body['model']}` does not exist."
        error = {"message": message, "type": "NotFoundError", "param": "model", "code": 404}
        return JSONResponse({"error": error}, 404)
    tag = request.app.state.tag
    longest = max(len(ids) for ids in body["input"])
    if longest > 1024:
        message = (
            f"This model's maximum context length is 1024 tokens. However, you requested {longest} tokens"
        )
        error = {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}
        return JSONResponse({"error": error}, 400)
    data = [
        {"index": index, "object": "pooling", "data": GOLDEN[: ids.count(tag)]}
        for index, ids in enumerate(body["input"])
    ]
    tokens = sum(map(len, body["input"]))
    usage = {
        "prompt_tokens": tokens,
        "total_tokens": tokens,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
    }
    head = {"id": "pooling-1f0c", "object": "list", "created": 1758000000, "model": "prm"}
    return JSONResponse({**head, "data": data, "usage": usage})


def tagged(folder: FilePath) -> int:
    made = pooling_scorer(["http://127.0.0.1:9"], model="prm", tokenizer=folder, family="qwen-math-prm")
    return made._layout.step("a", True)[-1]


@pytest.fixture(scope="module", params=["ours", "vllm"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """An address, and the model's name there."""
    if request.param == "ours":
        served, engine = opened(load({"version": 1, "prm": {"kind": "lab"}}))
        with running(application(served, engine)) as url:
            yield url, served.name
        return
    app = Starlette(routes=[Route("/pooling", vllm, methods=["POST"])])
    app.state.tag = tagged(lab.PRM)
    with running(app) as url:
        yield url, "prm"


def scorer(url: str, model: str, **settings: Any) -> PoolingScorer:
    given = {"family": "qwen-math-prm", "max_length": 1000, **settings}
    return pooling_scorer([url], model=model, tokenizer=lab.PRM, **given)


def asynchronous(scorer: PoolingScorer, paths: list[Path]) -> list[StepScores]:
    return asyncio.run(scorer.ascore(ASKED, paths))


def synchronous(scorer: PoolingScorer, paths: list[Path]) -> list[StepScores]:
    return scorer.score(ASKED, paths)


@pytest.mark.parametrize("score", [synchronous, asynchronous])
def test_every_path_gets_a_probability_for_each_of_its_steps(
    server: tuple[str, str], score: Callable[[PoolingScorer, list[Path]], list[StepScores]]
) -> None:
    found = score(scorer(*server), PATHS)
    assert [one.rejected for one in found] == [None] * 4
    assert [len(one.values) for one in found] == [4, 2, 1, 3]
    assert all(0.0 <= value <= 1.0 for one in found for value in one.values)
    assert score(scorer(*server), []) == []


def test_another_model_is_refused_with_the_servers_own_words(server: tuple[str, str]) -> None:
    url, _ = server
    with pytest.raises(ScorerError, match=r"'nobody': HTTP 404: .*The model `nobody` does not exist"):
        scorer(url, "nobody").score(ASKED, PATHS)


def test_a_row_over_the_servers_window_is_refused_with_its_own_words(server: tuple[str, str]) -> None:
    with pytest.raises(ScorerError, match=r"HTTP 400: .*maximum context length is 1024 tokens"):
        scorer(*server, max_length=3000).score(ASKED, [Path(("x " * 2000,))])


def test_a_copy_scores_as_the_original_does(server: tuple[str, str]) -> None:
    original = scorer(*server)
    assert copy.deepcopy(original) is original
    again = pickle.loads(pickle.dumps(original))  # noqa: S301 - our own bytes
    assert again.id == original.id
    assert [one.values for one in again.score(ASKED, PATHS)] == [
        one.values for one in original.score(ASKED, PATHS)
    ]


def test_the_golden_vector_of_vllm_is_read_as_the_second_class() -> None:
    app = Starlette(routes=[Route("/pooling", vllm, methods=["POST"])])
    app.state.tag = tagged(lab.PRM)
    with running(app) as url:
        (found,) = scorer(url, "prm").score(ASKED, [Path(STEPS)])
    assert found.values == (0.99951, 0.18127, 0.97461, 0.99951)
    assert found.tokens > 0


MAKERS = {
    "qwen-math-prm": tiny.qwen_prm,
    "math-shepherd": tiny.math_shepherd,
    "skywork-prm": tiny.skywork_prm,
    "reasoneval": tiny.reasoneval,
}


@pytest.mark.parametrize("family", [*MAKERS, "lab"])
def test_scores_over_http_are_those_in_process(family: str, tmp_path: FilePath) -> None:
    folder = lab.PRM if family == "lab" else MAKERS[family](tmp_path)
    kind = "qwen-math-prm" if family == "lab" else family
    settings = {"kind": "transformers", "model": str(folder), "family": kind, "max_length": 500}
    served, engine = opened(load({"version": 1, "prm": settings}))
    local = load_scorer(folder, family=kind, max_length=120)
    with running(application(served, engine)) as url:
        remote = pooling_scorer([url], model=served.name, tokenizer=folder, family=kind, max_length=120)
        over_http, again = remote.score(ASKED, PATHS), remote.score(ASKED, PATHS)
        text = httpx2.get(url + "/metrics").text
    assert remote.id == local.id
    for there, here in zip(over_http, local.score(ASKED, PATHS), strict=True):
        assert there.values == pytest.approx(here.values, abs=1e-5)
        assert (there.first, there.rejected) == (here.first, None)
    assert [one.values for one in again] == [pytest.approx(one.values, abs=1e-5) for one in over_http]
    assert sum(one.tokens for one in again) <= sum(one.tokens for one in over_http)
    assert "adaptive_prm_rows_total 8.0" in text
