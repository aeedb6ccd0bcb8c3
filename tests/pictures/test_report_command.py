"""`adaptive-middleware report`, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adaptive_middleware.calibration.bundle import Bundle, save
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.cli import app
from adaptive_middleware.errors import AdaptiveError
from tests.pictures.reading import read
from tests.pictures.rows import TOKENS

RUN = CliRunner()


def prefixes(file: Path) -> Path:
    rows = [
        {"problem": f"p{i}", "level": 1, "steps": ["a"], "scores": [0.1 * (i % 10)], "done": True}
        | {"success": int(i % 10 > 4), "rollouts": 1}
        for i in range(20)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.mark.parametrize(("sizes", "fitted"), [({"fit.problems": 1234.0}, True), ({}, False)])
def test_a_bundle_is_drawn_on_held_out_paths(
    tmp_path: Path, calibration: Calibration, sizes: dict[str, float], fitted: bool
) -> None:
    save(Bundle("some/prm", "some/generator", "abc", calibration, sizes), tmp_path / "bundle.json")
    held_out = prefixes(tmp_path / "held_out.jsonl")
    out = tmp_path / "out"
    done = RUN.invoke(
        app, ["report", "calibration", str(tmp_path / "bundle.json"), str(held_out), "--out", str(out)]
    )
    assert (done.exit_code, done.stdout) == (0, f"wrote {out / 'report.html'} and {out / 'pictures'}\n")
    facts = read((out / "report.html").read_text("utf-8")).text("dd")
    assert facts[:2] == ["some/prm", "some/generator"]
    assert ("1,234 problems" in facts) is fitted


def test_a_leaderboard_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(TOKENS))
    out = tmp_path / "out"
    done = RUN.invoke(
        app, ["report", "leaderboard", str(tmp_path / "rows.json"), "--out", str(out), "--title", "Mine"]
    )
    assert done.exit_code == 0
    assert read((out / "report.html").read_text("utf-8")).text("h1") == ["Mine"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[", "not readable JSON"),
        ("{}", "not a list of rows"),
        ("[1]", "not a list of rows"),
        (None, "not readable JSON"),
    ],
)
def test_a_file_that_is_no_leaderboard_is_named(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "rows.json").write_text(content)
    done = RUN.invoke(app, ["report", "leaderboard", str(tmp_path / "rows.json")])
    assert isinstance(done.exception, AdaptiveError)
    assert says in str(done.exception)


def test_without_the_drawing_library_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(TOKENS))
    code = (
        "import sys; sys.modules['matplotlib'] = None; from adaptive_middleware.cli import main; "
        "sys.argv[1:] = ['report', 'leaderboard', sys.argv[1]]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "rows.json")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: matplotlib is not installed, and this command needs it: pip install 'adaptive-middleware[report]'"
    ]
