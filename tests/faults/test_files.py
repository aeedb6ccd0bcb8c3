"""F5, F6, F27, F35: weights and calibrations that are cut, changed, foreign or half-written, and a machine without a sandbox."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path as FilePath
from typing import Any

import pytest

from adaptive_middleware import Middleware, Request, best_of_n, fixed, lab
from adaptive_middleware.calibration.bundle import Bundle, load, save
from adaptive_middleware.calibration.posthoc import Calibration, QuantileMap
from adaptive_middleware.errors import (
    BundleMismatch,
    CalibrationError,
    CheckpointError,
    ConfigError,
    SandboxError,
)
from adaptive_middleware.scoring.local import load_scorer
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.verify.sandbox import choose
from adaptive_middleware.verify.sandbox.choose import Probe, sandbox
from adaptive_middleware.verify.unit_tests import unit_tests

pytestmark = pytest.mark.fault

CURVES = QuantileMap(("last", "steps"), (1.0, -0.5), 0.25, (-1.0, 1.0), (0.2, 0.6), ((0.1, 0.3), (0.4, 0.8)))
SMALL = Bundle("prm/a", "model/b", "0" * 64, Calibration((0.1, 0.9), {"any": CURVES}), {})


@pytest.fixture
def weights(tmp_path: FilePath) -> FilePath:
    """A copy of the lab's process reward model."""
    shutil.copytree(lab.PRM, tmp_path / "prm")
    return tmp_path / "prm" / "model.safetensors"


@pytest.mark.parametrize("left", [0, 4, 8, 50, -100, -1])
def test_f05_weights_that_are_cut_at_any_length_are_refused_by_name(weights: FilePath, left: int) -> None:
    weights.write_bytes(weights.read_bytes()[:left])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_scorer(weights.parent, family="qwen-math-prm")


def test_f05_a_flipped_bit_is_found_by_the_digest_and_by_nothing_else(weights: FilePath) -> None:
    whole = bytearray(weights.read_bytes())
    right = sha256(whole).hexdigest()
    whole[-1000] ^= 0x40
    weights.write_bytes(whole)
    load_scorer(weights.parent, family="qwen-math-prm").device.close()  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match=rf"(?s)model\.safetensors.*{right[:8]}"):
        load_scorer(weights.parent, family="qwen-math-prm", sha256=right)


def test_f05_a_pickle_under_the_name_of_weights_is_never_opened(
    weights: FilePath, tmp_path: FilePath
) -> None:
    ran = tmp_path / "ran"
    weights.write_bytes(b"cposix\nsystem\n(S'touch %b'\ntR." % str(ran).encode())
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_scorer(weights.parent, family="qwen-math-prm")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ({"prm": "prm/other"}, ("prm/a", "prm/other")),
        ({"generator": "model/other"}, ("model/b", "model/other")),
    ],
)
def test_f06_a_calibration_of_other_models_is_refused_with_both_ids(
    tmp_path: FilePath, ids: dict[str, str], words: tuple[str, str]
) -> None:
    save(SMALL, tmp_path / "c.json")
    with pytest.raises(BundleMismatch) as refused:
        load(tmp_path / "c.json", **ids)
    assert all(word in str(refused.value) for word in words)


def test_f06_a_manifest_that_was_edited_to_fit_is_refused(tmp_path: FilePath) -> None:
    file = tmp_path / "c.json"
    save(SMALL, file)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prm": "prm/other"}))
    with pytest.raises(CalibrationError, match=r"c\.json"):
        load(file, prm="prm/other")


def test_f06_a_configuration_with_a_foreign_calibration_is_not_taken_on(tmp_path: FilePath) -> None:
    save(SMALL, tmp_path / "c.json")
    policy = {"default": {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 2}}}
    config: dict[str, Any] = {"version": 1, "prm": {"kind": "lab"}, "policies": policy}
    middleware = Middleware.from_config({"version": 1, "policies": policy})
    with pytest.raises((ConfigError, CalibrationError), match=r"prm/a"):
        middleware.reload(config | {"calibration": str(tmp_path / "c.json")})
    assert middleware.run(Request("q"), ScriptedSampler(["4"])).chosen.text == "4"
    assert middleware.scorer is None


WRITER = """
import sys
from itertools import count
from pathlib import Path
from adaptive_middleware.calibration.bundle import load, save
from dataclasses import replace
file = Path(sys.argv[1])
bundle = load(file)
print("begun", flush=True)
for turn in count():
    save(replace(bundle, metrics={"turn": float(turn)}), file)
"""


def test_f27_a_kill_while_a_calibration_is_written_leaves_a_whole_one(tmp_path: FilePath) -> None:
    file = tmp_path / "c.json"
    save(SMALL, file)
    for turn in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        time.sleep(0.05 + 0.03 * turn)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert load(file, prm="prm/a").calibration == SMALL.calibration


def test_f35_without_a_sandbox_no_code_is_run_and_the_answer_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: FilePath
) -> None:
    ran = tmp_path / "ran"
    monkeypatch.setattr(
        choose, "probe", lambda name: Probe(name, works=False, why="no user namespaces", remedy="do this")
    )
    monkeypatch.setattr(choose, "find_spec", lambda _: None)
    with pytest.raises(
        SandboxError, match=r"no sandbox works here, so no code is run.*no user namespaces; do this"
    ):
        sandbox()
    code = f"```python\nopen({str(ran)!r}, 'w').write('x')\ndef two(): return 2\n```"
    verifier = unit_tests("assert two() == 2")
    middleware = Middleware(best_of_n(fixed(2), score=False, verify=True), verifier=verifier)
    outcome = middleware.run(Request("write two()"), ScriptedSampler([code]))
    assert not ran.exists()
    assert outcome.chosen.text == code
    assert {one.verdict.passed for one in outcome.considered if one.verdict is not None} == {None}


def test_f35_to_run_without_a_sandbox_has_to_be_said() -> None:
    with pytest.raises(ConfigError, match="--unsafe-no-sandbox"):
        sandbox("none")
