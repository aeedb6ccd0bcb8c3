"""What importing the core may cost: no heavy library, whatever is installed."""

import subprocess
import sys

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


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_core_loads_nothing_heavy() -> None:
    assert not HEAVY & loaded_after(
        "import adaptive_middleware, adaptive_middleware.replay, adaptive_middleware.testing"
    )


def test_importing_the_shell_loads_nothing_heavy() -> None:
    assert not HEAVY - {"pydantic"} & loaded_after("import adaptive_middleware.cli")
