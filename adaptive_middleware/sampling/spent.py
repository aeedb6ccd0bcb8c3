"""What the choices of one reply cost: the provider's counts where they can be believed, else what is known or reckoned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adaptive_middleware.sampling.chunks import usage_of
from adaptive_middleware.sampling.reading import sound, tokens_in
from adaptive_middleware.types import Usage


def spent(
    said: Mapping[str, Any] | None, asked: str, texts: Sequence[str], counted: Sequence[int]
) -> list[Usage]:
    """The usage of each choice; the first carries the request and its prompt.

    `counted` are tokens that were given one by one (0 where none were), `texts` the answers, `asked` the prompt. Counts that
    are missing, negative or absurd are reckoned from lengths, and marked as `estimated`.

    >>> [(one.prompt_tokens, one.completion_tokens, one.estimated) for one in spent(None, "abcd", ["a", "b" * 8], [0, 0])]
    [(1, 1, True), (0, 2, True)]
    """
    given = usage_of(said)
    usage = given if given is not None and sound(given) else Usage()
    lengths = list(counted) if counted and all(counted) else _shares(usage.completion_tokens, texts)
    prompt = usage.prompt_tokens or tokens_in(asked)
    guessed = usage.prompt_tokens == 0 or (usage.completion_tokens == 0 and not all(counted))
    cached = usage.cached_tokens
    return [
        Usage(prompt * (not k), length, cached * (not k), requests=int(not k), estimated=guessed)
        for k, length in enumerate(lengths)
    ]


def _shares(total: int, texts: Sequence[str]) -> list[int]:
    """An even share of the total; without one, the tokens of each text. No text at all is a `ZeroDivisionError`."""
    share, extra = divmod(total, len(texts))
    if total == 0:
        return [tokens_in(text) for text in texts]
    return [share + extra * (not k) for k in range(len(texts))]
