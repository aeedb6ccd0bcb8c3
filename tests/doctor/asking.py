"""`doctor --json` on a configuration of a test."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from adaptive_middleware.cli import app

POLICIES = "policies: {default: {strategy: best-of-n, policy: {kind: fixed, n: 3}}}\n"


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
