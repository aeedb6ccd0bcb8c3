"""Every example runs as a user would run it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

NEEDS = {
    "ray_rollouts": "ray",
    "wrap_agent_framework": "agent_framework",
    "wrap_anthropic": "anthropic",
    "wrap_crewai": "crewai",
    "wrap_dspy": "dspy",
    "wrap_litellm": "litellm",
    "wrap_openai_agents": "agents",
    "wrap_pydantic_ai": "pydantic_ai",
    "wrap_smolagents": "smolagents",
}
"""Libraries that have no room in the common environment: `make test-frameworks` gives each one of its own."""
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs_and_says_something(example: Path, tmp_path: Path) -> None:
    needed = NEEDS.get(example.stem)
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    done = subprocess.run(
        [sys.executable, str(example)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
