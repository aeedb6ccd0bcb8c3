"""langchain_adaptive: chat models and agents of LangChain that give every call the compute it needs.

The chat model needs langchain-core alone; the agent middleware is loaded with langchain when it is asked for.

>>> from langchain_adaptive import AdaptiveChatModel
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_adaptive.chat_model import AdaptiveChatModel

if TYPE_CHECKING:
    from langchain_adaptive.agent import AdaptiveComputeMiddleware

__all__ = ["AdaptiveChatModel", "AdaptiveComputeMiddleware"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - as any module's
    if name != "AdaptiveComputeMiddleware":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    try:
        from langchain_adaptive.agent import AdaptiveComputeMiddleware  # noqa: PLC0415 - langchain is optional
    except ModuleNotFoundError as error:
        message = f"{name} needs langchain: pip install 'langchain>=1.4'"
        raise ModuleNotFoundError(message, name=error.name) from error
    return AdaptiveComputeMiddleware
