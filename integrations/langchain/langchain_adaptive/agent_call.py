"""One model call of an agent: how it draws answers from the agent's own handler, and its response made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from langchain.agents.middleware.types import ExtendedModelResponse, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.report import report
from adaptive_middleware.sampling.fanout import afan_out, fan_out
from adaptive_middleware.types import Outcome, Path, Request, Usage
from langchain_adaptive.agent_requests import unseen
from langchain_adaptive.agent_state import difficulty, spend
from langchain_adaptive.paths import result_paths

UNREPAIRED = "the structured answer did not fit its schema"


@dataclass(slots=True)
class HandlerSampler:
    """Draws answers by calling the `handler` of one model call, from threads or awaited together.

    `handler` returns a response, or an awaitable of one for `asample`. A signal of the graph (`GraphBubbleUp`:
    an interrupt, a drain) is nobody's failed sample: it ends the call. A structured answer that does not fit its
    schema is a failed sample; it is kept in `unrepaired`, since the agent can repair it if there is no other.
    """

    call: ModelRequest[Any]
    handler: Callable[[ModelRequest[Any]], Any]
    max_concurrency: int
    signals: list[GraphBubbleUp] = field(default_factory=list)
    unrepaired: list[tuple[Path, ModelResponse[Any]]] = field(default_factory=list)

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers, from threads that keep the context (callbacks, the run's configuration)."""
        self.stop_at_signals()
        draw = partial(self._draw, self._varied(request))
        return fan_out(draw, n, deadline=request.deadline, max_concurrency=self.max_concurrency)

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """As `sample`, awaited together."""
        self.stop_at_signals()
        draw = partial(self._adraw, self._varied(request))
        return await afan_out(draw, n, deadline=request.deadline, max_concurrency=self.max_concurrency)

    def stop_at_signals(self) -> None:
        """Raise the first signal of the graph that came out of the handler, as it came."""
        if self.signals:
            raise self.signals[0]

    def _draw(self, call: ModelRequest[Any]) -> Path:
        with self._listening():
            return self._kept(self.handler(call))

    async def _adraw(self, call: ModelRequest[Any]) -> Path:
        with self._listening():
            return self._kept(await self.handler(call))

    @contextmanager
    def _listening(self) -> Iterator[None]:
        try:
            yield
        except GraphBubbleUp as signal:
            self.signals.append(signal)
            raise

    def _varied(self, request: Request) -> ModelRequest[Any]:
        """The agent's call with the parameters and messages that a strategy asks for, if it changed them."""
        call = self.call
        if request.messages is not self.call.messages:
            call = call.override(messages=list[Any](request.messages))
        if request.parameters == self.call.model_settings:
            return call
        return call.override(model_settings=dict(request.parameters))

    def _kept(self, response: ModelResponse[Any]) -> Path:
        path = response_path(response)
        if not _needs_repair(response):
            return path
        path = replace(path, error=UNREPAIRED)
        self.unrepaired.append((path, response))
        return path


def response_path(response: ModelResponse[Any]) -> Path:
    """The response's message as a path; `raw` is the response. Raises `SamplerError` where there is no AI message."""
    message = _ai_message(response.result)
    if message is None:
        found = f"the agent's handler returned no AIMessage, but {response.result!r}"
        raise SamplerError(found)
    (path,) = result_paths(ChatResult(generations=[ChatGeneration(message=message)]))
    return replace(path, raw=response)


def passed(response: ModelResponse[Any]) -> ExtendedModelResponse[Any]:
    """The response of a call that was passed through, with its spend."""
    message = _ai_message(response.result)
    usage = Usage(requests=1) if message is None else response_path(response).usage
    return _with_state(response, spend(usage, 1), None)


@contextmanager
def sampling(sampler: HandlerSampler) -> Iterator[None]:
    """Samples are drawn unseen, and a signal of the graph leaves as it came, whatever became of the call."""
    with unseen():
        try:
            yield
        finally:
            sampler.stop_at_signals()


def answered(outcome: Outcome) -> ExtendedModelResponse[Any]:
    """The chosen response: all its messages, the report on its AI message, and the spend of all samples."""
    response = _said(outcome.chosen) or outcome.chosen.raw
    if not isinstance(response, ModelResponse):
        message = (
            f"a path was chosen whose raw is {response!r}, not a response: return a path as it was drawn"
        )
        raise SamplerError(message)
    samples = max(len(outcome.considered) + len(outcome.dropped) + len(outcome.failed), 1)
    result = [_reported(message, outcome) for message in response.result]
    told = ModelResponse(result=result, structured_response=response.structured_response)
    return _with_state(told, spend(outcome.usage, samples), difficulty(outcome))


def _said(path: Path) -> ModelResponse[Any] | None:
    """What a strategy says itself, instead of calling a tool that it is not sure of."""
    if path.raw is not None or path.done or path.error is not None:
        return None
    message = AIMessage(path.text, response_metadata={"finish_reason": path.finish_reason})
    return ModelResponse(result=[message])


def unanswered(sampler: HandlerSampler, error: SamplerError) -> ExtendedModelResponse[Any]:
    """The first structured answer that needs repair, which the agent then asks for; `error` when there is none."""
    if not sampler.unrepaired:
        raise error
    usage = sum((path.usage for path, _ in sampler.unrepaired), Usage())
    return _with_state(sampler.unrepaired[0][1], spend(usage, len(sampler.unrepaired)), None)


def _with_state(
    response: ModelResponse[Any], spent: dict[str, int], hard: float | None
) -> ExtendedModelResponse[Any]:
    update = {"adaptive_spend": spent, "adaptive_difficulty": [hard]}
    return ExtendedModelResponse(response, Command(update=update))


def _reported(message: BaseMessage, outcome: Outcome) -> BaseMessage:
    details = report(outcome)
    if details is None or not isinstance(message, AIMessage):
        return message
    metadata = {**message.response_metadata, "adaptive": details}
    return message.model_copy(update={"response_metadata": metadata})


def _ai_message(messages: Sequence[BaseMessage]) -> AIMessage | None:
    return next((message for message in messages if isinstance(message, AIMessage)), None)


def _needs_repair(response: ModelResponse[Any]) -> bool:
    """Whether the agent answered a structured answer with tool messages that say what is wrong with it."""
    told = any(isinstance(message, ToolMessage) for message in response.result)
    return told and response.structured_response is None
