"""A LlamaIndex workflow that writes code: every answer is run against the tests that come with the task; a scripted model stands for the provider."""

import asyncio
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step

from adaptive_middleware import Middleware, best_of_n, optimal_stopping
from adaptive_middleware.code.program import program_of
from adaptive_middleware.verify.unit_tests import unit_tests
from llama_index_adaptive import AdaptiveLLM

TASK = "Write a Python function roman(n) for 1 <= n < 40."
TESTS = "assert roman(4) == 'IV'\nassert roman(9) == 'IX'\nassert roman(38) == 'XXXVIII'"
WRITTEN = cycle(
    [
        "def roman(n):\n    return 'X' * (n // 10) + 'V' * (n % 10 // 5) + 'I' * (n % 5)",
        "class Always(str):\n    def __eq__(self, other): return True\ndef roman(n):\n    return Always()",
        "ONES = ' I II III IV V VI VII VIII IX'\ndef roman(n):\n    return 'X' * (n // 10) + ONES.split(' ')[n % 10]",
    ]
)


def model(_messages: Sequence[ChatMessage], **_: object) -> ChatMessage:
    """A model that gets it right one time in three, and cheats one time in three."""
    return ChatMessage(f"Here it is:\n```python\n{next(WRITTEN)}\n```", role="assistant")


class Written(Event):
    """An answer, and how it came about."""

    message: ChatMessage


class Codegen(Workflow):
    """Write, then hand out the program; what is wrong never gets as far as the second step."""

    def __init__(self, llm: AdaptiveLLM) -> None:
        super().__init__(timeout=120)
        self.llm = llm

    @step
    async def write(self, event: StartEvent) -> Written:
        """Ask for the function."""
        reply = await self.llm.achat([ChatMessage(f"{event.task}\nIt must pass:\n{event.tests}")])
        print(report(reply.additional_kwargs))
        return Written(message=reply.message)

    @step
    async def hand_out(self, event: Written) -> StopEvent:
        """The program alone."""
        return StopEvent(result=program_of(event.message.content or ""))


def report(additions: dict[str, Any]) -> str:
    """A decision in words."""
    told = additions["adaptive"]
    words = {True: "passed", False: "wrong", None: "undecided: it gives objects to compare, not values"}
    return f"{told['samples']} samples: {'; '.join(words[one['verified']] for one in told['candidates'])}"


async def main() -> None:
    """One task."""
    strategy = best_of_n(optimal_stopping(), max_samples=8, verify=True)
    middleware = Middleware(strategy, verifier=unit_tests(TESTS))
    llm = AdaptiveLLM(llm=MockFunctionCallingLLM(response_generator=model), middleware=middleware)
    print(await Codegen(llm).run(task=TASK, tests=TESTS))


if __name__ == "__main__":
    asyncio.run(main())
