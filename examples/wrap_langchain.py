"""Wrap a LangChain chat model; here a fake OpenAI server on loopback stands for the provider."""

from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware
from adaptive_middleware.testing.fake_openai import fake_openai
from langchain_adaptive import AdaptiveChatModel

CONFIG = {
    "version": 1,
    "policies": {
        "default": {
            "strategy": "best-of-n",
            "policy": {"kind": "agreement", "confidence": 0.9},
            "select": "majority",
            "max_samples": 8,
        }
    },
}


def main() -> None:
    """Ask once and show what the middleware did."""
    with fake_openai() as server:
        model = ChatOpenAI(model="fake-split", base_url=server.url, api_key="none")
        llm = AdaptiveChatModel(inner=model, middleware=Middleware.from_config(CONFIG))
        answer = llm.invoke("How many legs do 3 spiders have?")
    adaptive = answer.response_metadata["adaptive"]
    print(answer.content)
    print(adaptive["samples"], "samples,", adaptive["selected_by"])
    for decision in adaptive["decisions"]:
        print("-", decision["because"])


if __name__ == "__main__":
    main()
