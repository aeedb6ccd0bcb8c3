"""F30, F31: a configuration that changes under load, breaks, vanishes, or says other than it seems to."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path as FilePath
from typing import Any

import httpx2
import pytest

from adaptive_middleware import Middleware, Request
from adaptive_middleware.config import load
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.reloading import Followed
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.testing.fake_openai import fake_openai
from tests.faults.world import alone, process
from tests.server.threaded import eventually

pytestmark = pytest.mark.fault

FIXED = (
    "version: 1\npolicies: {default: {strategy: best-of-n, policy: {kind: fixed, n: %d}, max_samples: 9}}\n"
)
PRM = 'prm: {kind: python, target: "tests.config.parts:Scores", args: {value: %s}}\n'
BAD = {
    "half-written": FIXED[:60],
    "a typo": FIXED.replace("fixed", "fxied") % 4,
    "binary": "\x00\x01",
    "empty": "",
    "a factory that does not exist": FIXED % 4
    + 'prm: {kind: python, target: "tests.config.parts:Nothing"}\n',
    "a factory that raises": FIXED % 4 + 'prm: {kind: python, target: "tests.config.parts:SOMETHING"}\n',
}


def samples(middleware: Middleware) -> int:
    sampler = ScriptedSampler(["4"])
    middleware.run(Request("q"), sampler)
    return sum(sampler.calls)


def taken(file: FilePath, text: str, follower: Followed) -> None:
    """Write, and look until the file is at rest; each text has a length or a time of its own."""
    file.write_text(text)
    follower.look()
    follower.look()


@pytest.mark.parametrize("how", BAD)
def test_f30_a_bad_file_changes_nothing_and_its_place_is_logged(
    tmp_path: FilePath, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    file, results = tmp_path / "a.yaml", list[str]()
    file.write_text(FIXED % 3)
    middleware = Middleware.from_config(file)
    follower = Followed(file, middleware.reload, results.append)
    before = middleware._now
    taken(file, BAD[how], follower)
    assert (samples(middleware), results, middleware._now is before) == (3, ["refused"], True)
    assert str(file) in caplog.text
    assert "the configuration before it stays" in caplog.text
    follower.look()
    assert results == ["refused"]  # the same file is not tried, and not logged, again
    taken(file, FIXED % 5, follower)
    assert (samples(middleware), results) == (5, ["refused", "applied"])


def test_f30_line_and_column_are_in_the_log(tmp_path: FilePath, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(FIXED % 3)
    middleware = Middleware.from_config(file)
    taken(file, FIXED.replace("fixed", "fxied") % 4, Followed(file, middleware.reload))
    assert f"{file}:2:" in caplog.text


def test_f30_a_deleted_file_and_a_swapped_link(tmp_path: FilePath) -> None:
    one, two, link = tmp_path / "one.yaml", tmp_path / "two.yaml", tmp_path / "now.yaml"
    one.write_text(FIXED % 3)
    two.write_text(FIXED % 5)
    link.symlink_to(one)
    results: list[str] = []
    middleware = Middleware.from_config(link)
    follower = Followed(link, middleware.reload, results.append)
    link.unlink()
    follower.look()
    follower.look()
    assert (samples(middleware), results) == (3, [])
    link.symlink_to(two)
    follower.look()
    follower.look()
    assert (samples(middleware), results) == (5, ["applied"])


def test_f30_a_file_that_is_still_being_written_is_not_read(tmp_path: FilePath) -> None:
    file, results = tmp_path / "a.yaml", list[str]()
    file.write_text(FIXED % 3)
    middleware = Middleware.from_config(file)
    follower = Followed(file, middleware.reload, results.append)
    for end in (40, 60, 80):
        file.write_text((FIXED % 7)[:end])
        follower.look()
        assert (samples(middleware), results) == (3, [])
    taken(file, FIXED % 7, follower)
    assert (samples(middleware), results) == (7, ["applied"])


async def test_f30_under_load_every_call_has_one_configuration_whole(tmp_path: FilePath) -> None:
    """The policy and the scorer always belong together: N is 2 with 0.25 and 3 with 0.75, never mixed."""
    file = tmp_path / "a.yaml"
    texts = [FIXED % n + PRM % score for n, score in ((2, 0.25), (3, 0.75))]
    file.write_text(texts[0])
    middleware = Middleware.from_config(file)
    seen: set[tuple[int, float]] = set()

    async def calls() -> None:
        for _ in range(40):
            outcome = await middleware.arun(Request("q"), ScriptedSampler(["4"]))
            scored = [one.scores.values[0] for one in outcome.considered if one.scores is not None]
            assert len(set(scored)) == 1
            seen.add((len(outcome.considered), scored[0]))

    async def changes() -> None:
        for turn in range(12):
            file.write_text(texts[turn % 2] if turn % 3 else "version: 1\npolicies: {")
            try:
                await asyncio.to_thread(middleware.reload, file)
            except ConfigError as error:
                assert error.line is not None  # noqa: PT017 - both ways are right
            await asyncio.sleep(0.005)

    async def both() -> None:
        await asyncio.gather(changes(), *(calls() for _ in range(4)))

    await alone(both)
    assert seen == {(2, 0.25), (3, 0.75)}


def test_f30_the_process_reward_model_is_kept_where_prm_is_the_same(tmp_path: FilePath) -> None:
    middleware = Middleware.from_config({"version": 1, "prm": LAB, "policies": POLICIES})
    scorer, breaker = middleware.scorer, middleware.breaker
    middleware.reload({"version": 1, "prm": LAB, "policies": {"default": {"strategy": "pass-through"}}})
    assert middleware.scorer is scorer
    assert middleware.breaker is breaker
    assert middleware.rules[0].passes_through
    middleware.reload({"version": 1, "prm": {**LAB, "args": {"value": 0.1}}, "policies": POLICIES})
    assert middleware.scorer is not scorer


LAB: dict[str, Any] = {"kind": "python", "target": "tests.config.parts:Scores", "args": {"value": 0.9}}
POLICIES: dict[str, Any] = {"default": {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 2}}}


def test_f30_a_running_proxy_takes_changes_on_and_counts_them(tmp_path: FilePath) -> None:
    body = {"model": "fake+arithmetic", "messages": [{"role": "user", "content": "2 + 2"}]}
    with fake_openai() as upstream:
        head = f"upstream: {{base_url: '{upstream.url}'}}\n"
        with process(tmp_path, "serve", FIXED % 2 + head, "--reload") as (_, url):
            file = tmp_path / "serve.yaml"

            def drawn() -> int:
                reply = httpx2.post(f"{url}/v1/chat/completions", json=body)
                return int(reply.headers["x-adaptive-samples"])

            def metrics() -> str:
                return httpx2.get(f"{url}/metrics").text

            assert drawn() == 2
            os.utime(file)
            file.write_text("version: 1\npolicies: {")
            eventually(lambda: 'adaptive_proxy_reloads_total{result="refused"} 1.0' in metrics())
            assert drawn() == 2
            file.write_text(FIXED % 4 + head)
            eventually(lambda: 'adaptive_proxy_reloads_total{result="applied"} 1.0' in metrics())
            assert drawn() == 4


TRAPS = {
    "a duplicate key": "max_samples: 3\n    max_samples: 4",
    "1e3 is a string": "max_samples: 1e3",
    "010 is eight": "max_samples: 010",
    "12:30 is 750": "max_samples: 12:30",
    "no is false": "max_samples: no",
    "nan": "budget: {seconds: .nan}",
    "infinity": "budget: {seconds: .inf}",
    "true is one": "budget: {seconds: true}",
    "an alias": "budget: &a {seconds: 1}\n    x: *a",
    "an unknown key": "maxsamples: 3",
    "a negative": "budget: {tokens: -1}",
}


@pytest.mark.parametrize("trap", TRAPS)
def test_f31_what_yaml_reads_in_surprising_ways_is_refused_with_its_place(
    tmp_path: FilePath, trap: str
) -> None:
    file = tmp_path / "a.yaml"
    begin = (
        "version: 1\npolicies:\n  default:\n    strategy: best-of-n\n    policy: {kind: fixed, n: 2}\n    "
    )
    file.write_text(begin + TRAPS[trap] + "\n")
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert (refused.value.file, (refused.value.line or 0) >= 6) == (str(file), True)


def test_f31_a_document_larger_than_any_configuration_is_refused(tmp_path: FilePath) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\n" + "# x\n" * 300_000)
    with pytest.raises(ConfigError, match=r"(?i)bytes|large|KiB|MiB"):
        load(file)
