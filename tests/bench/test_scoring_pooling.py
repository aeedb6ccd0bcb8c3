import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from adaptive_middleware.checkpoint import open_checkpoint
from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring import heads
from adaptive_middleware.scoring.rows import Row
from bench.scoring.machine import HostClock
from bench.scoring.measure import Reference, measure
from bench.scoring.pooling import SKIPPED, export, served, through_http, wait
from bench.scoring.shapes import SEPARATOR, SHAPES, build
from bench.scoring.workload import Setting, workload

NETWORK = build(SHAPES["tiny"], torch.device("cpu"), torch.float32)
LOAD = workload(Setting(3, 16, 12, 3, ragged=True))


class Pooling(BaseHTTPRequestHandler):
    """`/pooling` as vLLM documents it for process reward models, items in reverse order."""

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.path, body["task"]) == ("/pooling", "token_classify")
        items = [
            {"index": index, "object": "pooling", "data": self._steps(ids)}
            for index, ids in enumerate(body["input"])
        ]
        self._reply({"object": "list", "data": items[::-1]})

    def _steps(self, ids: list[int]) -> list[list[float]]:
        ends = tuple(place for place, token in enumerate(ids) if token == SEPARATOR)
        probabilities: list[list[float]] = (
            torch.tensor(NETWORK([Row(tuple(ids), ends)])).softmax(dim=-1).tolist()
        )
        return probabilities

    def _reply(self, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the port's
        """Nothing is logged."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pooling) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_served_model_is_measured_like_every_other_way(url: str) -> None:
    wait(url, lambda: None)
    (timing,) = measure([through_http(url, LOAD)], HostClock(lambda: 0.0), 1)
    assert Reference(NETWORK, 3).gap(timing) <= 1e-5
    assert [work.tokens for work in timing.way.own] == [sum(len(row.ids) for row in LOAD.rows(3))]


def test_a_server_that_ends_before_it_is_healthy_is_an_error() -> None:
    codes = iter([None, 1])
    with pytest.raises(ScorerError, match="did not come up"):
        wait("http://127.0.0.1:9", lambda: next(codes), pause=0.0)


def test_without_vllm_there_is_a_line_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    lines: list[str] = []
    with served(NETWORK, lines.append) as address:
        assert address is None
    assert lines == [SKIPPED]


def test_the_exported_checkpoint_is_the_public_layout_and_scores_the_same(tmp_path: Path) -> None:
    export(NETWORK, tmp_path)
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.config["architectures"] == ["Qwen2ForProcessRewardModel"]
    trunk = heads.load_trunk(checkpoint, torch.device("cpu"), torch.float32)
    network = heads.StepModel(trunk, heads.class_head(checkpoint), 0)
    rows = LOAD.rows(3)
    assert torch.allclose(torch.tensor(network(rows)), torch.tensor(NETWORK(rows)), atol=1e-6)
