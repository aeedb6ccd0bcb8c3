"""A LangChain chain whose structured answers hold code: samples are drawn until one passes its tests; a scripted server stands for the provider."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from adaptive_middleware import Middleware, Path, Request, best_of_n, optimal_stopping
from adaptive_middleware.ports import Verifier
from adaptive_middleware.testing.fake_sse import Script, fake_sse, whole_reply
from adaptive_middleware.types import Verdict
from adaptive_middleware.verify.unit_tests import unit_tests
from langchain_adaptive import AdaptiveChatModel

TESTS = "assert median([3, 1, 2]) == 2\nassert median([4, 1, 3, 2]) == 2.5"
WRITTEN = cycle(
    [
        "def median(xs):\n    return sorted(xs)[len(xs) // 2]",
        "import sys\nsys.exit(0)",
        "def median(xs):\n    xs = sorted(xs)\n    return (xs[(len(xs) - 1) // 2] + xs[len(xs) // 2]) / 2",
    ]
)


class Solution(BaseModel):
    """A Python function and one sentence about it."""

    explanation: str
    code: str


@dataclass(frozen=True)
class code_field:  # noqa: N801 - verifiers read as words
    """Tests for code that is a field of the structured answer."""

    tests: Verifier

    def verify(self, request: Request, paths: Sequence[Path]) -> Sequence[Verdict]:
        """What the tests say of each answer's field `code`."""
        codes = [str(path.tool_calls[0].arguments["code"]) if path.tool_calls else "" for path in paths]
        return self.tests.verify(request, [Path((f"```python\n{code}\n```",)) for code in codes])


def provider(_body: Mapping[str, Any]) -> Script:
    """A model that gets it right one time in three, and cheats one time in three."""
    arguments = json.dumps({"explanation": "The middle of the sorted values.", "code": next(WRITTEN)})
    function = {"name": "Solution", "arguments": arguments}
    call = {"id": "call-1", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100}
    return [whole_reply({"choices": [choice], "usage": usage})]


def main() -> None:
    """The chain as anybody would write it; only the model is wrapped."""
    strategy = best_of_n(optimal_stopping(), max_samples=8, verify=True)
    middleware = Middleware(strategy, verifier=code_field(unit_tests(TESTS)))
    with fake_sse({"scripted": provider}) as server:
        inner = ChatOpenAI(model="scripted", base_url=server.url, api_key="none")
        model = AdaptiveChatModel(inner=inner, middleware=middleware)
        prompt = ChatPromptTemplate.from_template("Write a Python function {name}. It must pass:\n{tests}")
        chain = prompt | model.with_structured_output(Solution, method="function_calling", include_raw=True)
        found: Any = chain.invoke({"name": "median", "tests": TESTS})
    report = found["raw"].response_metadata["adaptive"]
    print(found["parsed"].code)
    for sample in report["candidates"]:
        print("passed" if sample["verified"] else f"not passed: {sample['rejected']}")
    print(report["samples"], "samples:", report["decisions"][-1]["because"])


if __name__ == "__main__":
    main()
