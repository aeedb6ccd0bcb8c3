"""llama_index_adaptive: LlamaIndex models that give each call the samples it needs."""

from llama_index_adaptive.llm import AdaptiveLLM
from llama_index_adaptive.reports import AdaptiveEvent

__all__ = ["AdaptiveEvent", "AdaptiveLLM"]
