"""F1 to F4, F36: the process reward model is killed, hangs, runs out of memory, lies, or is slow on this very machine."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf, nan
from pathlib import Path as FilePath
from typing import Any

import httpx2
import pytest
import torch

from adaptive_middleware import Middleware, Request, best_of_n, fixed, lab
from adaptive_middleware.report import report
from adaptive_middleware.scoring.breaker import Breaker
from adaptive_middleware.scoring.computed import FromScratch
from adaptive_middleware.scoring.families import Family
from adaptive_middleware.scoring.local import LocalScorer
from adaptive_middleware.scoring.pooling_http import PoolingScorer, pooling_scorer
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import Outcome, Path, StepScores, Usage
from tests.faults.world import Told, alone, process, within
from tests.proxy.site import proxied
from tests.scoring.test_batches import LETTERS, Direct, Scripted
from tests.server.threaded import eventually

pytestmark = pytest.mark.fault

SERVED = "version: 1\nprm: {kind: lab}\n"
SHORT = 0.3


class Site:
    """Best of three over a served process reward model, with breakers that try again soon."""

    def __init__(self, url: str) -> None:
        model = httpx2.get(f"{url}/v1/models").json()["data"][0]["id"]
        scorer: PoolingScorer = pooling_scorer(
            [url], model=model, tokenizer=lab.PRM, family="qwen-math-prm", timeout=5.0
        )
        scorer.replicas.breakers[url] = Breaker(3, SHORT)
        self.told = Told()
        self.middleware = Middleware(
            best_of_n(fixed(3)), scorer=scorer, breaker=Breaker(3, SHORT), observers=[self.told]
        )

    def call(self, seconds: float = 20.0) -> Outcome:
        sampler = ScriptedSampler(["The answer is 5.", "The answer is 4.", "The answer is 4."])
        with within(seconds) as ends:
            outcome = self.middleware.run(Request("What is 2 + 2?", deadline=ends), sampler)
        assert sampler.calls == [3]
        assert (outcome.usage.requests, outcome.usage.completion_tokens) == (3, 12)
        assert self.told.causes == outcome.degraded
        return outcome


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, the_loop: None) -> Iterator[tuple[Any, str]]:
    """A served process reward model that the cases of this file stop and let go on."""
    with process(tmp_path_factory.mktemp("prm"), "serve-prm", SERVED) as (server, url):
        yield server, url


def test_f01_killed_mid_score_then_left_alone_then_back(tmp_path: FilePath) -> None:
    with process(tmp_path, "serve-prm", SERVED) as (server, url):
        site = Site(url)
        assert site.call().degraded == ()
        server.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool:
            pending = pool.submit(site.call)
            time.sleep(0.2)
            assert not pending.done()
            server.kill()
            outcome = pending.result()
    assert outcome.chosen.text == "The answer is 4."
    assert any("ScorerError" in cause and url in cause for cause in outcome.degraded)
    site.middleware.breaker.seconds = 60.0
    for _ in range(3):
        assert site.call().chosen.text == "The answer is 4."
    began = time.monotonic()
    assert "left alone after 3 failures" in site.call().degraded[0]
    assert time.monotonic() - began < 1.0
    site.middleware.breaker.seconds = SHORT
    site.middleware.breaker.failed()
    with process(tmp_path, "serve-prm", SERVED, "--port", url.rpartition(":")[2]):
        eventually(lambda: not site.call().degraded)
        assert site.middleware.breaker.state == "closed"


def test_f02_a_prm_that_hangs_gets_its_share_of_the_deadline(served: tuple[Any, str]) -> None:
    server, url = served
    site = Site(url)
    assert site.call().degraded == ()
    server.send_signal(signal.SIGSTOP)
    try:
        outcome = site.call(2.0)
    finally:
        server.send_signal(signal.SIGCONT)
    assert outcome.chosen.text == "The answer is 4."
    assert outcome.degraded[0].startswith("scores rejected: ScorerTimeout: no score within 1.00 s")
    eventually(lambda: not site.call().degraded)


async def test_f02_the_same_on_an_event_loop(served: tuple[Any, str]) -> None:
    server, url = served
    site = Site(url)
    server.send_signal(signal.SIGSTOP)
    try:
        with within(2.0) as ends:
            request = Request("What is 2 + 2?", deadline=ends)
            outcome = await alone(lambda: site.middleware.arun(request, ScriptedSampler(["4"])))
    finally:
        server.send_signal(signal.SIGCONT)
    assert outcome.chosen.text == "4"
    assert outcome.degraded[0].startswith("scores rejected: ScorerTimeout: no score within")


@pytest.mark.parametrize(
    ("fails", "sizes", "degraded"), [([True], [3, 1, 2], False), ([True] * 2, [3, 1], True)]
)
def test_f03_out_of_memory_is_met_by_halves_once_and_then_without_scores(
    fails: list[bool], sizes: list[int], degraded: bool
) -> None:
    forward = Scripted([False, *fails])
    engine = Direct(FromScratch(forward, 1000))
    scorer = LocalScorer("scripted", Family(LETTERS, lambda logits: logits[0] / 100), engine, window=99)
    told = Told()
    middleware = Middleware(best_of_n(fixed(3)), scorer=scorer, observers=[told])
    outcome = middleware.run(Request("q"), ScriptedSampler(["5", "4", "4"]))
    assert forward.sizes == [1, *sizes]
    assert any("no memory to score 3 rows" in cause for cause in told.causes) == degraded
    assert outcome.chosen.text == ("4" if degraded else "5")
    assert middleware.run(Request("q"), ScriptedSampler(["5", "4", "4"])).degraded == ()


def test_f03_an_error_of_cuda_itself_crashes_nothing() -> None:
    class Out:
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            raise torch.cuda.OutOfMemoryError

    outcome = Middleware(best_of_n(fixed(3)), scorer=Out()).run(
        Request("q"), ScriptedSampler(["5", "4", "4"])
    )
    assert (outcome.chosen.text, outcome.degraded) == ("4", ("scores rejected: OutOfMemoryError: ",))


@pytest.mark.parametrize("values", [(nan,), (inf,), (-inf,), (-0.1,), (1.5,), (), (0.5, 0.5), (0.5,) * 9])
async def test_f04_scores_that_cannot_be_are_rejected_and_never_compared(values: tuple[float, ...]) -> None:
    class Lying:
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            return [StepScores(values if path.text == "5" else (0.4,)) for path in paths]

    told = Told()
    middleware = Middleware(best_of_n(fixed(3)), scorer=Lying(), observers=[told])
    outcome = await alone(lambda: middleware.arun(Request("q"), ScriptedSampler(["5", "4", "4"])))
    assert outcome.chosen.text == "4"
    assert len(told.causes) == 1
    assert told.causes[0].startswith("scores rejected: ")
    assert [one.estimate is None for one in outcome.considered] == [True, False, False]
    json.dumps(report(outcome), allow_nan=False)


def test_f04_another_number_of_score_sets_than_of_answers_cannot_be_attributed() -> None:
    class Short:
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            return [StepScores((0.9,))]

    middleware = Middleware(best_of_n(fixed(3), score_question=False), scorer=Short())
    outcome = middleware.run(Request("q"), ScriptedSampler(["5", "4", "4"]))
    assert outcome.chosen.text == "4"
    assert outcome.degraded == ("scores rejected: ScorerError: the scorer returned 1 score sets for 3 paths",)
    assert outcome.usage == Usage(completion_tokens=3, requests=3)


class Spinning:
    """A scorer that computes on this process's own CPU until it is told to stop."""

    id = "spinning"
    spinning = False

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        Spinning.spinning = True
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            sum(range(1000))
        Spinning.spinning = False
        return [StepScores((0.5,) * max(len(path.steps), 1)) for path in paths]


async def test_f36_the_proxy_answers_while_it_scores_on_its_own_cpu() -> None:
    prm = {"kind": "python", "target": "tests.faults.test_prm:Spinning"}
    body = {"model": "three", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    with fake_openai() as upstream, proxied(upstream.url, prm=prm) as url:
        async with httpx2.AsyncClient(timeout=60) as client:

            async def answered_meanwhile() -> int:
                pending = asyncio.ensure_future(client.post(f"{url}/v1/chat/completions", json=body))
                waits = []
                while not pending.done():
                    began, spinning = time.monotonic(), Spinning.spinning
                    assert (await client.get(f"{url}/health")).status_code == 200
                    waits += [time.monotonic() - began] if spinning else []
                    await asyncio.sleep(0.01)
                assert pending.result().status_code == 200
                return sum(wait < 0.1 for wait in waits)

            assert await alone(answered_meanwhile) >= 5
