"""Unchanged OpenAI SDK code with adaptive samples; a fake OpenAI server on loopback stands for the provider."""

from __future__ import annotations

from collections.abc import Sequence

from openai import DefaultHttpxClient, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from adaptive_middleware import Middleware, Path, best_of_n, optimal_stopping
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.transport.httpx2 import AdaptiveTransport


def likes_421(path: Path) -> Sequence[float]:
    """Stands for a process reward model: the right product scores well."""
    return [0.97 if "421" in path.text else 0.1] * max(len(path.steps), 1)


def ask(client: OpenAI, model: str) -> None:
    """A call and a stream as any program makes them."""
    asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is 264 + 157?"}]
    found = client.chat.completions.create(model=model, messages=asked)
    print(found.choices[0].message.content, found.usage, sep="\n")
    report = (found.model_extra or {})["adaptive"]
    print(f"{report['samples']} samples, p = {report['p']:.2f}: {report['decisions'][-1]['because']}")
    for chunk in client.chat.completions.create(model=model, messages=asked, stream=True):
        print(chunk.choices[0].delta.content or "", end="")
    print()


def main() -> None:
    """Every third answer of the fake provider is right."""
    middleware = Middleware(best_of_n(optimal_stopping(target=0.9)), scorer=TableScorer(likes_421))
    with fake_openai() as provider, DefaultHttpxClient(transport=AdaptiveTransport(middleware)) as http:
        provider.choices = 1
        ask(OpenAI(base_url=provider.url, api_key="none", http_client=http), "fake+arithmetic+split")


if __name__ == "__main__":
    main()
