"""Middleware for LangChain's agents: every model call of `create_agent` gets the samples that it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from os import PathLike
from typing import Any, Self

from langchain.agents import AgentState
from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ExtendedModelResponse, ModelRequest, ModelResponse

from adaptive_middleware.errors import ConfigError, SamplerError
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.types import Request
from langchain_adaptive.agent_call import HandlerSampler, answered, passed, sampling, unanswered
from langchain_adaptive.agent_requests import agent_request, sampled
from langchain_adaptive.agent_state import AdaptiveState

Handler = Callable[[ModelRequest[Any]], ModelResponse[Any]]
AsyncHandler = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]


class AdaptiveComputeMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Draws as many answers of an agent's model call as `middleware` decides, and goes on with the chosen one.

    Put it last in the agent's list (innermost). Only the chosen answer is seen by the caller's message stream, by
    the other middlewares and by the tools. A call that is passed through reaches the model untouched, and
    streams. The state gets `adaptive_spend` and `adaptive_difficulty`, the chosen message
    `response_metadata["adaptive"]`. `max_concurrency` bounds the samples of one call under way at a time.

    Raises `ConfigError` for a `max_concurrency` below 1.
    """

    state_schema = AdaptiveState

    def __init__(self, middleware: Middleware, *, max_concurrency: int = 16) -> None:
        super().__init__()
        if max_concurrency < 1:
            message = f"max_concurrency is {max_concurrency}: at least one sample must be under way"
            raise ConfigError(message)
        self.middleware, self.max_concurrency = middleware, max_concurrency
        self.tools = []

    @classmethod
    def from_config(
        cls, source: str | PathLike[str] | Mapping[str, object], *, max_concurrency: int = 16
    ) -> Self:
        """As `Middleware.from_config`: a YAML or TOML file, or a mapping of the same shape."""
        return cls(Middleware.from_config(source), max_concurrency=max_concurrency)

    def wrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> ExtendedModelResponse[Any]:
        """The response of one model call, from as many calls of `handler` as its rule decides."""
        asked, passes_through = self._asked(request)
        if passes_through:
            return passed(handler(request))
        sampler = HandlerSampler(sampled(request), handler, self.max_concurrency)
        with sampling(sampler):
            try:
                return answered(self.middleware.run(asked, sampler))
            except SamplerError as error:
                return unanswered(sampler, error)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: AsyncHandler
    ) -> ExtendedModelResponse[Any]:
        """As `wrap_model_call`."""
        asked, passes_through = self._asked(request)
        if passes_through:
            return passed(await handler(request))
        sampler = HandlerSampler(sampled(request), handler, self.max_concurrency)
        with sampling(sampler):
            try:
                return answered(await self.middleware.arun(asked, sampler))
            except SamplerError as error:
                return unanswered(sampler, error)

    def _asked(self, request: ModelRequest[Any]) -> tuple[Request, bool]:
        asked = agent_request(request)
        return asked, self.middleware.rule(asked).passes_through
