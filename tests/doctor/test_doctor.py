"""`doctor`: every part of a configuration is tried, every failure has its fix, and the exit status says whether one failed."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware import lab
from adaptive_middleware.calibration import bundle
from adaptive_middleware.cli import app
from adaptive_middleware.cli.doctor import _fitting as fitting
from adaptive_middleware.config import load
from adaptive_middleware.doctor import parts
from adaptive_middleware.scoring.quantiles import quantile_estimate
from adaptive_middleware.testing.fake_openai import fake_openai

POLICIES = "policies: {default: {strategy: best-of-n, policy: {kind: fixed, n: 3}}}\n"
CONSTANT = 'prm: {kind: python, target: "tests.config.parts:Scores"}\n'


def examined(tmp_path: Path, text: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Exit status, and the findings by the name of their check."""
    (tmp_path / "adaptive.yaml").write_text(f"version: 1\n{text}")
    done = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "adaptive.yaml"), "--json"])
    told = json.loads(done.stdout)
    found: dict[str, list[dict[str, str]]] = {}
    for each in told["checks"]:
        found.setdefault(each["name"], []).append(each)
        assert bool(each["fix"]) == (each["status"] != "ok")
    assert (told["status"] == "fail") == (done.exit_code == 1)
    return done.exit_code, found


@contextmanager
def answering(status: int, date: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with one status; what it was asked, with the key that came."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('authorization')}")
            self.send_response_only(status)
            if date is not None:
                self.send_header("date", date)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_without_a_configuration_only_the_machine_is_examined() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert "config" in done.stdout
    assert "calibration" not in done.stdout


def test_a_good_configuration_is_used_once_and_passes(tmp_path: Path) -> None:
    with fake_openai() as server:
        status, found = examined(tmp_path, f"upstream: {{base_url: '{server.url}'}}\n{CONSTANT}{POLICIES}")
        assert (server.calls, server.choices) == ([], 0)
    assert status == 0
    assert found["upstream"][0]["what"].startswith(f"{server.url}/models answers in ")
    assert found["prm"][0]["what"].startswith("scored a small answer in ")
    assert found["policies"][0]["what"] == "made: default"
    assert [each["status"] for each in found["calibration"]] == ["warn"]
    assert (
        "room for about" not in found["open files"][0]["what"]
        or "3 samples" in found["open files"][0]["what"]
    )


def test_the_store_of_calls_is_examined_with_its_disk(tmp_path: Path) -> None:
    _, found = examined(tmp_path, f"trace: {{path: kept/traces.db}}\n{POLICIES}")
    assert found["trace store"][0]["what"] == f"{tmp_path}/kept/traces.db will be made with the first call"
    assert not (tmp_path / "kept").exists()


def test_all_that_is_wrong_with_the_file_is_said(tmp_path: Path) -> None:
    status, found = examined(tmp_path, "prn: {kind: lab}\npolicies: {default: {strategy: best-of-m}}\n")
    assert status == 1
    assert "prn" in found["config"][0]["what"]
    assert "best-of-m" in found["config"][0]["what"]
    assert "prm" not in found


def test_a_file_that_is_not_there_fails_and_the_machine_is_examined_all_the_same(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "none.yaml")])
    assert done.exit_code == 1
    assert "python" in done.stdout
    assert "fix: name a readable" in done.stdout


@pytest.mark.parametrize(
    ("prm", "said"),
    [
        ('target: "tests.config.parts:broken"', "RuntimeError: the user's own error"),
        ('target: "tests.config.nowhere:Scores"', "cannot be imported"),
        ('target: "tests.config.parts:Scores", args: {value: 7.0}', "score 7.0 is not in [0, 1]"),
        ('target: "tests.doctor.parts:Failing"', "ZeroDivisionError: by zero"),
        ('target: "tests.doctor.parts:Silent"', "returned 0 score sets for 1 paths"),
    ],
)
def test_a_scorer_that_cannot_be_made_or_used_fails(tmp_path: Path, prm: str, said: str) -> None:
    status, found = examined(tmp_path, f"prm: {{kind: python, {prm}}}\n{POLICIES}")
    assert status == 1
    assert said in found["prm"][0]["what"]
    assert found["policies"][0]["status"] == "ok"


def test_a_calibration_of_another_model_fails_with_both_names(tmp_path: Path) -> None:
    papers = bundle.load(lab.CALIBRATION)
    status, found = examined(tmp_path, f"{CONSTANT}calibration: lab\n{POLICIES}")
    assert status == 1
    assert papers.prm in found["calibration"][0]["what"]
    assert "'constant'" in found["calibration"][0]["what"]
    assert "calibrate" in found["calibration"][0]["fix"]


def test_a_calibration_of_an_unknown_generator_is_a_warning_until_it_is_named(tmp_path: Path) -> None:
    papers = bundle.load(lab.CALIBRATION)
    scores = f'prm: {{kind: python, target: "tests.config.parts:Scores", args: {{id: "{papers.prm}"}}}}\n'
    _, found = examined(tmp_path, f"{scores}calibration: lab\n{POLICIES}")
    assert (found["calibration"][0]["status"], papers.generator in found["calibration"][0]["what"]) == (
        "warn",
        True,
    )
    _, found = examined(tmp_path, f"{scores}calibration: lab\ngenerator: {papers.generator!r}\n{POLICIES}")
    assert found["calibration"][0]["status"] == "ok"
    status, found = examined(tmp_path, f"{scores}calibration: lab\ngenerator: other\n{POLICIES}")
    assert (status, "'other' is in use" in found["calibration"][0]["what"]) == (1, True)


def test_a_policy_of_ones_own_that_cannot_be_made_fails(tmp_path: Path) -> None:
    own = "policies: {default: {strategy: best-of-n, policy: {kind: python, target: 'tests.config.parts:nothing'}}}\n"
    status, found = examined(tmp_path, own)
    assert (status, found["policies"][0]["status"]) == (1, "fail")
    assert "adaptive.yaml:2:" in found["policies"][0]["what"]


@pytest.mark.parametrize(
    ("status", "key_env", "expected"),
    [
        (401, "", ("ok", "wants a key: that of the clients is sent on")),
        (401, ", key_env: DOCTOR_KEY", ("fail", "refuses the key (401)")),
        (403, ", key_env: DOCTOR_KEY", ("fail", "refuses the key (403)")),
        (404, "", ("warn", "is not there (404)")),
        (503, "", ("warn", "answers with status 503")),
        (200, ", key_env: DOCTOR_KEY", ("ok", "answers in")),
    ],
)
def test_the_upstream_is_judged_by_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, key_env: str, expected: tuple[str, str]
) -> None:
    monkeypatch.setenv("DOCTOR_KEY", "s3cret-of-the-test")
    with answering(status) as (url, asked):
        _, found = examined(tmp_path, f"upstream: {{base_url: '{url}/v1'{key_env}}}\n{POLICIES}")
    assert asked == [f"/v1/models {'Bearer s3cret-of-the-test' if key_env else None}"]
    assert found["upstream"][0]["status"] == expected[0]
    assert expected[1] in found["upstream"][0]["what"]
    assert "s3cret" not in json.dumps(found)


def test_an_upstream_that_is_not_there_fails(tmp_path: Path) -> None:
    with answering(200) as (url, _):
        pass
    status, found = examined(tmp_path, f"upstream: {{base_url: '{url}/v1'}}\n{POLICIES}")
    assert (status, found["upstream"][0]["status"]) == (1, "fail")
    assert "ConnectError" in found["upstream"][0]["what"]


@pytest.mark.parametrize(
    ("date", "said"),
    [("Thu, 01 Jan 2026 00:00:00 GMT", "ahead of the upstream"), ("no date", None), (None, None)],
)
def test_the_upstreams_clock_is_compared_where_it_tells_one(
    tmp_path: Path, date: str | None, said: str | None
) -> None:
    with answering(200, date) as (url, _):
        _, found = examined(tmp_path, f"upstream: {{base_url: '{url}/v1'}}\n{POLICIES}")
    assert len(found["clock"]) == (1 if said is None else 2)
    assert said is None or said in found["clock"][1]["what"]


def test_every_server_of_the_process_reward_model_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCTOR_KEY", "k")
    with answering(200) as (gone, _):
        pass
    with answering(200) as (well, asked), answering(500) as (ill, _):
        pooling = f"prm: {{kind: pooling, urls: ['{well}', '{ill}', '{gone}'], model: m, tokenizer: nowhere, key_env: DOCTOR_KEY}}\n"
        status, found = examined(tmp_path, pooling + POLICIES)
    assert asked == ["/health Bearer k"]
    assert [each["status"] for each in found["prm server"]] == ["ok", "warn", "fail"]
    assert (status, found["prm"][0]["status"], found["keys"][0]["what"]) == (1, "fail", "DOCTOR_KEY is set")


@pytest.mark.parametrize(
    ("value", "status"), [("", "fail"), ("  ", "fail"), ("key\n", "warn"), ("key", "ok")]
)
def test_keys_are_looked_for_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, status: str
) -> None:
    monkeypatch.setenv("DOCTOR_KEY", value)
    with answering(200) as (url, _):
        _, found = examined(tmp_path, f"upstream: {{base_url: '{url}/v1', key_env: DOCTOR_KEY}}\n{POLICIES}")
    assert found["keys"][0]["status"] == status


def test_what_a_terminal_would_obey_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "adaptive.yaml").write_text(
        "version: 1\nprm: {kind: python, target: 'tests.doctor.parts:Hostile'}\n" + POLICIES
    )
    done = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "adaptive.yaml")])
    assert done.exit_code == 1
    assert "\x1b[2J" not in done.stdout
    assert "screen cleared" in done.stdout


def test_without_httpx2_servers_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    status, found = examined(tmp_path, f"upstream: {{base_url: 'http://127.0.0.1:9/v1'}}\n{POLICIES}")
    assert (status, "cannot be asked without httpx2" in found["upstream"][0]["what"]) == (1, True)


def test_the_embedded_pair_passes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    papers: Any = bundle.load(lab.CALIBRATION)
    text = f"prm: {{kind: lab}}\ncalibration: lab\ngenerator: {papers.generator!r}\n{POLICIES}"
    status, found = examined(tmp_path, text)
    assert (status, found["calibration"][0]["status"]) == (0, "ok")


def test_a_fine_tuned_calibration_that_loaded_fits(tmp_path: Path) -> None:
    config = load({"version": 1, "prm": {"kind": "lab"}, "calibration": str(tmp_path)})
    assert parts._calibration(config, quantile_estimate).what == f"{tmp_path} fits the process reward model"


@pytest.mark.parametrize(
    ("policies", "samples"),
    [
        ("{default: {strategy: beam, samples: 5}}", 5),
        ("{default: {strategy: effort, rungs: [{name: one}], target: 0.9, attempts: 4}}", 4),
        ("{default: {strategy: pass-through}}", 1),
        ("{}", 1),
    ],
)
def test_open_files_are_counted_for_the_widest_policy(tmp_path: Path, policies: str, samples: int) -> None:
    _, found = examined(tmp_path, f"{CONSTANT}policies: {policies}\n")
    what = found["open files"][0]["what"]
    assert what == "no limit" or f"draw {samples} samples" in what


def test_on_a_terminal_long_lines_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    folded = fitting("a word " * 12)
    assert [len(line) <= 40 for line in folded] == [True] * 3
    assert " ".join(folded).split() == ["a", "word"] * 12
    assert fitting("") == [""]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
