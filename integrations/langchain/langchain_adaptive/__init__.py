"""langchain_adaptive: a chat model that gives every call of another one the compute it needs.

>>> from langchain_adaptive import AdaptiveChatModel
"""

from langchain_adaptive.chat_model import AdaptiveChatModel

__all__ = ["AdaptiveChatModel"]
