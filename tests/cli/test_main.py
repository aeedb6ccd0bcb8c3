"""The command line as a program: what goes wrong outside of a command is one line."""

import subprocess
import sys

import pytest

from adaptive_middleware import cli
from adaptive_middleware.errors import CheckpointError


def test_a_missing_extra_is_named_with_the_command_that_installs_it() -> None:
    code = "import sys; sys.modules['torch'] = None; sys.argv[1:] = ['demo']; from adaptive_middleware.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "torch is not installed" in done.stderr
    assert "pip install 'adaptive-middleware[prm]'" in done.stderr
    assert "Traceback" not in done.stderr


def failing(error: Exception) -> object:
    def app() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CheckpointError("model.safetensors is cut"), "error: model.safetensors is cut"),
        (ModuleNotFoundError("no", name="scipy"), "error: scipy is not installed"),
    ],
)
def test_expected_errors_are_one_line_and_status_one(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "app", failing(error))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(line)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", failing(ModuleNotFoundError("no", name="of_our_own")))
    with pytest.raises(ModuleNotFoundError):
        cli.main()
