"""What importing may cost: no heavy library in the core, whatever is installed, and of the shell the one command that was asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import adaptive_middleware

HEAVY = {
    "torch",
    "transformers",
    "numpy",
    "scipy",
    "sklearn",
    "pydantic",
    "langchain_core",
    "llama_index",
    "httpx",
}

LITTLE = {"explain", "explain_shown", "later", "safe", "store_option"}
"""What `explain` needs of the shell."""


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_core_loads_nothing_heavy() -> None:
    assert not HEAVY & loaded_after(
        "from adaptive_middleware import *; import adaptive_middleware.replay, adaptive_middleware.testing"
    )


def test_importing_the_shell_loads_nothing_heavy() -> None:
    assert not HEAVY - {"pydantic"} & loaded_after("import adaptive_middleware.cli")


def test_every_public_name_is_loaded_when_it_is_used() -> None:
    assert all(getattr(adaptive_middleware, name) is not None for name in adaptive_middleware.__all__)
    assert set(adaptive_middleware.__all__) <= set(dir(adaptive_middleware))
    assert callable(adaptive_middleware.report)  # and not the module of that name


def test_a_misspelt_name_is_an_attribute_error_and_an_import_error() -> None:
    with pytest.raises(AttributeError, match="midleware"):
        adaptive_middleware.midleware  # type: ignore[attr-defined]  # noqa: B018 - looked up
    with pytest.raises(ImportError, match="midleware"):
        exec("from adaptive_middleware import midleware")  # noqa: S102 - our own words


def test_explain_imports_no_other_command_and_nothing_that_answers_calls(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv[1:] = ['explain', '--store', 'none.db']\n"
        "from adaptive_middleware.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    names = done.stdout.split()
    assert "AMW-E700" in done.stderr
    own = {name for name in names if name.startswith("adaptive_middleware.cli.")}
    assert own == {f"adaptive_middleware.cli.{name}" for name in LITTLE}
    assert not {"rich", "numpy", "adaptive_middleware.middleware", "adaptive_middleware.config"} & set(names)
