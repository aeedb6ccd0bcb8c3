"""langchain_adaptive: chat models, agents and decision models of LangChain that give every call the compute it needs.

The chat model needs langchain-core alone; the agent middleware is loaded with langchain, and the decision model with
langchain-core 1.8, when they are asked for.

>>> from langchain_adaptive import AdaptiveChatModel
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_adaptive.chat_model import AdaptiveChatModel

if TYPE_CHECKING:
    from langchain_adaptive.agent import AdaptiveComputeMiddleware
    from langchain_adaptive.decisions import AdaptiveDecisionModel

__all__ = ["AdaptiveChatModel", "AdaptiveComputeMiddleware", "AdaptiveDecisionModel"]

_OPTIONAL = {
    "AdaptiveComputeMiddleware": ("langchain_adaptive.agent", "langchain: pip install 'langchain>=1.4'"),
    "AdaptiveDecisionModel": (
        "langchain_adaptive.decisions",
        "langchain-core 1.8 or later: pip install 'langchain-core>=1.8'",
    ),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - as any module's
    if name not in _OPTIONAL:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module, needed = _OPTIONAL[name]
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        message = f"{name} needs {needed}"
        raise ModuleNotFoundError(message, name=error.name) from error
