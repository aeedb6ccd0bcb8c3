"""Every example runs as a user would run it; wrapped models are billed for what they say, and run the winner's tool calls only."""

import re
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
WRAPPED = [example for example in EXAMPLES if example.stem.startswith("wrap_") and example.stem in NEEDS]

BILLED = """
import runpy, sys
from adaptive_middleware.testing import fake_openai, fake_sse

bill = []
usage, whole_reply = fake_openai.usage, fake_sse.whole_reply


def counted(*asked):
    spent = usage(*asked)
    bill.append((spent["prompt_tokens"], spent["completion_tokens"]))
    return spent


def replied(body):
    bill.append((body["usage"]["input_tokens"], body["usage"]["output_tokens"]))
    return whole_reply(body)


fake_openai.usage, fake_sse.whole_reply = counted, replied
runpy.run_path(sys.argv[1], run_name="__main__")
print("bill:", len(bill), *map(sum, zip(*bill)))
"""
"""Runs an example, and prints the requests and tokens that the scripted providers charged for it."""

REFUSED = """
import runpy, sys
from adaptive_middleware.testing import fake_openai, fake_sse

whole_reply = fake_sse.whole_reply
error = {"type": "error", "error": {"type": "api_error", "message": "the model asked for a failure"}}
fake_openai.behaviours = lambda model: {"fail": 1}
fake_sse.whole_reply = lambda body: whole_reply(error, status=500)
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""Runs an example on providers that answer every request with HTTP 500."""


def run(example: Path, folder: Path, *launcher: str) -> subprocess.CompletedProcess[str]:
    needed = NEEDS.get(example.stem)
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    return subprocess.run(
        [sys.executable, *launcher, str(example)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=folder,
    )


def said_by(example: Path, folder: Path, *launcher: str) -> str:
    done = run(example, folder, *launcher)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if example not in WRAPPED], ids=lambda path: path.stem
)
def test_the_example_runs_and_says_something(example: Path, tmp_path: Path) -> None:
    assert said_by(example, tmp_path).strip()


@pytest.mark.parametrize("example", WRAPPED, ids=lambda path: path.stem)
def test_the_wrapped_model_says_what_it_cost_and_runs_the_tool_calls_of_the_winner_only(
    example: Path, tmp_path: Path
) -> None:
    said = said_by(example, tmp_path, "-c", BILLED)
    runs = re.findall(r"24\.? (\d+) \+ (\d+) tokens", said)
    samples = [int(count) for count in re.findall(r"^(\d+) samples:", said, re.MULTILINE)]
    told = [sum(samples), *(sum(map(int, tokens)) for tokens in zip(*runs, strict=True))]
    assert max(samples) > 1
    assert f"bill: {told[0]} {told[1]} {told[2]}" in said
    assert re.findall(r"^legs of (.*)$", said, re.MULTILINE) == ["3"] * len(runs)


@pytest.mark.parametrize("example", WRAPPED, ids=lambda path: path.stem)
def test_the_provider_s_error_reaches_the_caller_when_every_sample_fails(
    example: Path, tmp_path: Path
) -> None:
    failed = run(example, tmp_path, "-c", REFUSED)
    assert failed.returncode == 1
    assert "the model asked for a failure" in failed.stderr.rpartition("Traceback")[2]
