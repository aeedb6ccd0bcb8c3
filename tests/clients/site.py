"""One provider, and `adaptive-middleware serve` in front of it: scripts run straight and through, with only the base URL changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adaptive_middleware.testing.fake_openai import Server, fake_openai

MODEL = "ft:gpt-4o-mini:acme+arithmetic"
"""A name that every framework takes for a chat model with tools, and that tells the fake server to do sums."""
QUESTION = "What is 3 + 4?"
SUM = "3 + 4 = 7\nThe answer is 7."
TOLD = "The tool says 7."
SAMPLES = 3
CONFIG = """
version: 1
upstream: {base_url: "%s"}
policies: {default: {strategy: best-of-n, policy: {kind: fixed, n: 3}, max_samples: 3}}
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a script was told: the answers in order, and the tokens that it was charged where it can say so."""

    answers: list[Any]
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A provider, and the base URL of the proxy before it."""

    provider: Server
    proxy: str

    def same(self, script: Callable[[str], Told]) -> Told:
        """What the script is told without the proxy, which is what it must be told through it, at the cost of all samples."""
        self.provider.reset()
        direct = script(self.provider.url)
        assert any(body.get("stream") for body in self.provider.calls)
        bodies = [unstreamed(body) for body in self.provider.calls]
        self.provider.reset()
        through = script(self.proxy)
        assert through.answers == direct.answers
        sent = [unstreamed(body) for body in self.provider.calls]
        assert sent == [body for body in bodies for _ in range(SAMPLES)]
        if direct.tokens is not None:
            assert through.tokens == SAMPLES * direct.tokens
        return direct


def unstreamed(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what says how it is sent back: a winner is asked for whole, and streamed by the proxy."""
    return {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A provider, and a real process of the proxy that has ended well when the block is left."""
    with fake_openai() as provider:
        (folder / "adaptive.yaml").write_text(CONFIG % provider.url)
        code = "from adaptive_middleware.cli import main; main()"
        arguments = ["serve", "--config", str(folder / "adaptive.yaml"), "--port", "0", "--json"]
        served = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
        assert served.stdout is not None
        try:
            yield Site(provider, json.loads(served.stdout.readline())["url"] + "/v1")
        finally:
            served.terminate()
            served.communicate()
    assert served.returncode == 0


@pytest.fixture(scope="module", name="site")
def the_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site of one module's scripts."""
    with site(tmp_path_factory.mktemp("proxy")) as found:
        yield found


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
"""`add`, as the provider is told of it."""
