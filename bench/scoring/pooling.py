"""vLLM's `/pooling` on the same weights, where vLLM is installed: the engine that most would put in ours' place."""

from __future__ import annotations

import importlib.util
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict
from urllib.error import URLError
from urllib.request import Request, urlopen

from safetensors.torch import save_file

from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.heads import StepModel
from bench.scoring.shapes import SEPARATOR
from bench.scoring.ways import Logits, Scored, Stage, Way
from bench.scoring.workload import Workload

NAME = "vLLM /pooling"
SKIPPED = "vLLM is not installed here: its /pooling was not measured"


class _Item(TypedDict):
    index: int
    data: list[list[float]]


_MODEL = "prm"
_START_S = 300.0
_SMALLEST = 1e-12


@contextmanager
def served(network: StepModel, log: Callable[[str], object]) -> Iterator[str | None]:
    """The address of a vLLM that serves this network, ended afterwards; None, after a line, without vLLM."""
    if importlib.util.find_spec("vllm") is None:
        log(SKIPPED)
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        export(network, Path(folder))
        port = _free_port()
        process = subprocess.Popen(_command(network, folder, port), stdout=sys.stderr)  # noqa: S603 - our own
        try:
            wait(f"http://127.0.0.1:{port}", process.poll)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def export(network: StepModel, folder: Path) -> None:
    """The network as a checkpoint of Qwen2.5-Math-PRM's architecture and tensor names, without a tokenizer."""
    config = {**network.trunk.config.to_dict(), "architectures": ["Qwen2ForProcessRewardModel"]}
    (folder / "config.json").write_text(json.dumps({**config, "num_labels": 2}), encoding="utf-8")
    trunk = {f"model.{name}": weights for name, weights in network.trunk.state_dict().items()}
    head = {f"score.{name}": weights for name, weights in network.head.state_dict().items()}
    tensors = {name: weights.contiguous().cpu() for name, weights in {**trunk, **head}.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def through_http(url: str, load: Workload) -> Way:
    """All rows as token ids in one request."""
    rows = load.rows(load.steps)
    body = {"model": _MODEL, "task": "token_classify", "input": [list(row.ids) for row in rows]}
    headers = {"Content-Type": "application/json"}

    def ask() -> Scored:
        request = Request(f"{url}/pooling", json.dumps(body).encode(), headers)  # noqa: S310 - http on loopback
        with urlopen(request) as response:  # noqa: S310
            return Scored(_logits(json.load(response)["data"]))

    def stages() -> Iterator[Stage]:
        yield ask

    return Way(NAME, stages, rows, (load.alone(load.steps),), (load.shared(load.steps),))


def wait(url: str, ended: Callable[[], int | None], pause: float = 1.0) -> None:
    """Until the server at `url` is healthy; raises `ScorerError` when it has ended, or takes five minutes."""
    limit = time.monotonic() + _START_S
    while ended() is None and time.monotonic() < limit:
        try:
            with urlopen(f"{url}/health"):  # noqa: S310 - http on loopback
                return
        except URLError:
            time.sleep(pause)
    message = "vLLM did not come up: its own output above says why; uninstall it to measure without"
    raise ScorerError(message)


def _logits(data: Sequence[_Item]) -> Logits:
    """Logarithms of both probabilities of every step: their softmax is the probabilities again."""
    steps = [step for item in sorted(data, key=lambda item: item["index"]) for step in item["data"]]
    return [[math.log(max(p, _SMALLEST)) for p in step] for step in steps]


def _command(network: StepModel, folder: str, port: int) -> list[str]:
    """As its documentation has it for process reward models, with our separator."""
    pooler = json.dumps({"pooling_type": "STEP", "step_tag_id": SEPARATOR})
    dtype = str(network.trunk.dtype).removeprefix("torch.")
    command = f"-m vllm.entrypoints.cli.main serve {folder} --runner pooling --skip-tokenizer-init"
    sizes = f"--dtype {dtype} --gpu-memory-utilization 0.3 --served-model-name {_MODEL} --port {port}"
    return [sys.executable, *command.split(), *sizes.split(), "--pooler-config", pooler]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
