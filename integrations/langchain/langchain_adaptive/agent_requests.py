"""An agent's model calls as requests: the conversation, and the tools in the form that providers get them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, overload

from langchain.agents.middleware.types import ModelRequest
from langchain.agents.structured_output import AutoStrategy, OutputToolBinding, ToolStrategy
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables.config import ensure_config, var_child_runnable_config
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from adaptive_middleware.types import Request
from langchain_adaptive.requests import Origin, to_request

NOSTREAM = "nostream"
"""LangGraph's tag of model calls that the agent's caller does not see (`langgraph.constants.TAG_NOSTREAM`)."""


def agent_request(call: ModelRequest[Any]) -> Request:
    """The request that a rule, a scorer and a verifier see of `call`; its parameters are the model settings."""
    model: object = call.model
    own = model.tags if isinstance(model, BaseChatModel) else None
    forms = ToolForms(call)
    given = {**call.model_settings, "tools": forms} if forms else call.model_settings
    return to_request(call.messages, None, given, call.model, Origin.of_config(ensure_config(), own))


class ToolForms(Sequence[dict[str, Any]]):
    """The tools of one call, those of a structured answer included, in OpenAI's form; made when first read."""

    def __init__(self, call: ModelRequest[Any]) -> None:
        self._call = call

    def __len__(self) -> int:
        return len(self._call.tools) + len(self._answers)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Sequence[dict[str, Any]]:
        return self._forms[index]

    @cached_property
    def _answers(self) -> list[BaseTool]:
        wanted = self._call.response_format
        if isinstance(wanted, AutoStrategy):
            wanted = ToolStrategy(wanted.schema)
        specs = wanted.schema_specs if isinstance(wanted, ToolStrategy) else []
        return [OutputToolBinding.from_schema_spec(spec).tool for spec in specs]

    @cached_property
    def _forms(self) -> list[dict[str, Any]]:
        return [convert_to_openai_tool(tool) for tool in (*self._call.tools, *self._answers)]


def sampled(call: ModelRequest[Any]) -> ModelRequest[Any]:
    """`call` for several samples: a model that no cache answers for, or all samples would be the first one."""
    model: object = call.model
    if not isinstance(model, BaseChatModel):
        return call
    return call.override(model=model.model_copy(update={"cache": False}))


@contextmanager
def unseen() -> Iterator[None]:
    """Every model call inside is left out of the agent's message streams, whichever model makes it."""
    config = ensure_config()
    token = var_child_runnable_config.set({**config, "tags": [*config["tags"], NOSTREAM]})
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)
