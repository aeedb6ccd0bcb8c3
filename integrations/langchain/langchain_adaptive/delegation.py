"""Everything of a wrapping chat model that is not a call: what it takes over from the model inside."""

# ruff: noqa: ANN401 - the framework's signatures

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel, Field, model_validator

from langchain_adaptive.wrapping import rewrap, unwrapped

_INHERITED = ("callbacks", "tags", "cache", "output_version")


class DelegatingChatModel(BaseChatModel):
    """A chat model around `inner` that tools, schemas, traces and token counts see as `inner` itself.

    `inner` may be the result of `bind`: what is bound becomes `inner_kwargs` and goes with every call.
    Callbacks, tags, metadata, cache and output version are the inner model's unless they are given.
    Raises `ConfigError` for an `inner` that cannot be wrapped.
    """

    inner: BaseChatModel
    inner_kwargs: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _unwrap_inner(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "inner" not in values:
            return values
        inner, bound = unwrapped(values["inner"])
        return {**values, "inner": inner, "inner_kwargs": {**bound, **values.get("inner_kwargs", {})}}

    @model_validator(mode="after")
    def _inherit(self) -> Self:
        for name in _INHERITED:
            if name not in self.model_fields_set:
                setattr(self, name, getattr(self.inner, name))
        ours, theirs = self.metadata or {}, self.inner.metadata or {}
        versions = {**theirs.get("lc_versions", {}), **ours.get("lc_versions", {})}
        self.metadata = {**theirs, **ours, "lc_versions": versions}
        return self

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The inner model's own binding of `tools`, around this model."""
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return rewrap(self.inner.bind_tools(tools, **kwargs), self.inner, self._around)

    def with_structured_output(
        self, schema: dict[str, Any] | type | None = None, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """The inner model's own structured output (its method, its parser), around this model."""
        built = self.inner.with_structured_output(schema, include_raw=include_raw, **kwargs)  # type: ignore[arg-type]
        return rewrap(built, self.inner, self._around)

    def get_token_ids(self, text: str) -> list[int]:
        """The inner model's tokens of `text`."""
        return self.inner.get_token_ids(text)

    def get_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """The inner model's count."""
        return self.inner.get_num_tokens_from_messages(messages, tools)

    @property
    def model_name(self) -> str:
        """The inner model's `model_name`; `AttributeError` when it has none, as for `model`, `model_id`."""
        return str(self.inner.model_name)  # type: ignore[attr-defined]

    @property
    def model(self) -> str:
        """The inner model's `model`."""
        return str(self.inner.model)  # type: ignore[attr-defined]

    @property
    def model_id(self) -> str:
        """The inner model's `model_id`."""
        return str(self.inner.model_id)  # type: ignore[attr-defined]

    def _around(self, model: BaseChatModel) -> Self:
        return self if model is self.inner else self.model_copy(update={"inner": model})

    def _resolve_model_profile(self) -> ModelProfile | None:
        return self.inner.profile

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        given = (
            {**self.inner_kwargs, **kwargs} if stop is None else {**self.inner_kwargs, **kwargs, "stop": stop}
        )
        return self.inner._get_ls_params(**given)  # noqa: SLF001

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None], /) -> dict[str, Any]:
        return self.inner._combine_llm_outputs(llm_outputs)  # noqa: SLF001
