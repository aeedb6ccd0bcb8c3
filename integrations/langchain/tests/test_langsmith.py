"""What LangSmith gets of a run: the wrapped model's own metadata, the cost of all samples, and the report."""

from collections.abc import Callable
from typing import Any

from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveChatModel

Chat = Callable[..., ChatOpenAI]


class Runs(BaseTracer):
    """A tracer as LangSmith's: it keeps whole runs."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.kept.append(run)


def metadata(run: Run) -> dict[str, Any]:
    found = (run.extra or {})["metadata"]
    return {name: value for name, value in found.items() if name.startswith("ls_")}


async def test_a_run_is_one_of_the_wrapped_model_with_the_cost_of_all_samples(
    server: Server, chat: Chat
) -> None:
    bare, wrapped = Runs(), Runs()
    model = AdaptiveChatModel(
        inner=chat(temperature=0.5), middleware=Middleware(best_of_n(fixed(2), score=False))
    )
    chat(temperature=0.5).invoke("Hi", {"callbacks": [bare]}, stop=["END"])
    await model.ainvoke("Hi", {"callbacks": [wrapped]}, stop=["END"])
    (one,), (other,) = bare.kept, wrapped.kept
    assert metadata(other) == metadata(one)
    assert {"ls_provider", "ls_model_name", "ls_model_type", "ls_temperature", "ls_stop"} <= set(
        metadata(other)
    )
    said: Any = (other.outputs or {})["generations"][0][0]["message"]["kwargs"]
    assert said["usage_metadata"]["output_tokens"] == 2 * 4
    assert said["response_metadata"]["adaptive"]["samples"] == 2
