"""Wrap a LlamaIndex LLM; here the mock that comes with llama-index-core stands for the provider."""

from llama_index.core.llms.mock import MockLLM

from adaptive_middleware import Middleware, best_of_n, fixed
from llama_index_adaptive import AdaptiveLLM


def main() -> None:
    """Ask once and show what the middleware did."""
    voting = Middleware(best_of_n(fixed(3), max_samples=3, score=False))
    llm = AdaptiveLLM(llm=MockLLM(), middleware=voting)
    response = llm.complete("How many legs do 3 spiders have?")
    adaptive = response.additional_kwargs["adaptive"]
    print(response.text)
    print(adaptive["samples"], "samples,", adaptive["selected_by"])


if __name__ == "__main__":
    main()
