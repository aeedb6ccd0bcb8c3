"""A LangChain agent whose `write_code` calls are tested before the agent may make them; a scripted server stands for the provider."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, Path, Request, best_of_n, optimal_stopping
from adaptive_middleware.ports import Verifier
from adaptive_middleware.testing.fake_sse import Script, fake_sse, whole_reply
from adaptive_middleware.types import Verdict
from adaptive_middleware.verify.unit_tests import unit_tests
from langchain_adaptive import AdaptiveComputeMiddleware

TESTS = "assert slug('Hello, World!') == 'hello-world'\nassert slug('  a  b ') == 'a-b'"
WRITTEN = cycle(
    [
        "def slug(text):\n    return text.lower().replace(' ', '-')",
        "import re\ndef slug(text):\n    return '-'.join(re.findall(r'[a-z]+', text.lower()))",
    ]
)
USAGE = {"prompt_tokens": 80, "completion_tokens": 30, "total_tokens": 110}


@tool
def write_code(file: str, code: str) -> str:
    """Write a Python file."""
    print(f"the tool writes {file}:\n{code}")
    return f"{file} is written"


@dataclass(frozen=True)
class written_code:  # noqa: N801 - verifiers read as words
    """Tests for the code that a call of `write_code` carries; any other answer is good enough as it is."""

    tests: Verifier

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        """What the tests say of each call."""
        return [self._verdict(request, path) for path in paths]

    def _verdict(self, request: Request, path: Path) -> Verdict:
        codes = [str(call.arguments["code"]) for call in path.tool_calls if call.name == "write_code"]
        if not codes:
            return Verdict(passed=True, detail="nothing is written")
        return self.tests.verify(request, [Path((f"```python\n{codes[0]}\n```",))])[0]


def provider(body: Mapping[str, Any]) -> Script:
    """A model that writes first, and is wrong every other time; then it says that it is done."""
    message: dict[str, Any] = {"role": "assistant", "content": "Done: slug.py is there and passes its tests."}
    if body["messages"][-1]["role"] != "tool":
        arguments = json.dumps({"file": "slug.py", "code": next(WRITTEN)})
        call = {
            "id": "call-1",
            "type": "function",
            "function": {"name": "write_code", "arguments": arguments},
        }
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reason = "tool_calls" if message["content"] is None else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return [whole_reply({"choices": [choice], "usage": USAGE})]


def main() -> None:
    """One task; the first call that passes is the one that is made."""
    strategy = best_of_n(optimal_stopping(), max_samples=6, verify=True)
    middleware = Middleware(strategy, verifier=written_code(unit_tests(TESTS)))
    with fake_sse({"scripted": provider}) as server:
        model = ChatOpenAI(model="scripted", base_url=server.url, api_key="none")
        agent: Any = create_agent(model, [write_code], middleware=[AdaptiveComputeMiddleware(middleware)])
        state = agent.invoke(
            {"messages": [("user", f"Write slug(text) into slug.py. It must pass:\n{TESTS}")]}
        )
    for message in state["messages"]:
        told = message.response_metadata.get("adaptive")
        if told is not None:
            print(f"{message.type}: {told['samples']} samples, {told['decisions'][-1]['because']}")
    print(state["messages"][-1].text)


if __name__ == "__main__":
    main()
