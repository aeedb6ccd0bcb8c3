"""The Redis of tests and benchmarks: there or not, it says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adaptive_middleware.testing.redis_server import redis_server


def test_without_the_program_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="apt-get install redis-server"), redis_server():
        pass


def test_a_server_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(TimeoutError, match="did not answer"), redis_server(seconds=0.5):
        pass
    process = (tmp_path / "pid").read_text().strip()
    assert not Path(f"/proc/{process}/cmdline").exists()
