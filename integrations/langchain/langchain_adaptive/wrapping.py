"""What may be wrapped, and how the wrapper gets inside what the wrapped model builds.

A chat model's `bind_tools` and `with_structured_output` build a runnable around the model, with the
provider's own forms of tools and schemas. `rewrap` keeps that runnable and puts the wrapper in the
model's place, so that nothing of it is lost and every call is still the wrapper's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableBinding, RunnableParallel, RunnableSequence

from adaptive_middleware.errors import ConfigError


def unwrapped(inner: object) -> tuple[BaseChatModel, dict[str, Any]]:
    """The chat model in `inner` and the keyword arguments bound to it.

    Raises `ConfigError` for what is not a chat model (results of `with_retry`, `with_fallbacks`,
    `with_structured_output`, ...), for a binding that carries configuration, and for a model that asks
    its provider for several choices itself.
    """
    kwargs: dict[str, Any] = {}
    while isinstance(inner, RunnableBinding):
        if inner.config or inner.config_factories:
            message = f"inner is bound to a configuration, {inner.config!r}; call with_config on the wrapper"
            raise ConfigError(message)
        kwargs = {**inner.kwargs, **kwargs}
        inner = inner.bound
    if not isinstance(inner, BaseChatModel):
        message = (
            f"inner is a {type(inner).__name__}, not a chat model: wrap the chat model itself, and call"
            " with_retry, with_fallbacks, with_structured_output and the like on the wrapper"
        )
        raise ConfigError(message)
    choices = kwargs.get("n", getattr(inner, "n", None))
    if isinstance(choices, int) and choices > 1:
        message = f"inner asks for n={choices!r} choices, of which all but one would be lost: leave n unset"
        raise ConfigError(message)
    return inner, kwargs


def rewrap(
    built: Runnable[Any, Any], inner: BaseChatModel, wrap: Callable[[BaseChatModel], BaseChatModel]
) -> Runnable[Any, Any]:
    """`built` with every model of `inner`'s class replaced by its wrapper.

    Raises `ConfigError` when there is none in reach: the calls would pass the wrapper by.
    """
    found: list[BaseChatModel] = []

    def swapped(node: Runnable[Any, Any]) -> Runnable[Any, Any]:
        if isinstance(node, type(inner)):
            found.append(node)
            return wrap(node)
        return _with_parts(node, swapped)

    result = swapped(built)
    if not found:
        message = (
            f"no {type(inner).__name__} found in the {type(built).__name__} that it built, so calls would pass"
            " the wrapper by: bind the tools or the schema of the inner model yourself and wrap the result"
        )
        raise ConfigError(message)
    return result


def _with_parts(
    node: Runnable[Any, Any], swapped: Callable[[Runnable[Any, Any]], Runnable[Any, Any]]
) -> Runnable[Any, Any]:
    if isinstance(node, RunnableBinding):
        return node.model_copy(update={"bound": swapped(node.bound)})
    if isinstance(node, RunnableSequence):
        return RunnableSequence(*(swapped(step) for step in node.steps), name=node.name)
    if isinstance(node, RunnableParallel):
        steps: Mapping[str, Runnable[Any, Any]] = node.steps__
        return RunnableParallel({name: swapped(step) for name, step in steps.items()})
    return node
