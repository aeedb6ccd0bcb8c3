"""Answers as the journal keeps them, and the pieces they are cut into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Any, TypeAlias

from adaptive_middleware.logprobs import summary
from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.types import Path, Usage

Pair: TypeAlias = tuple[float, float]
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """One drawn answer. `done` is False where its limit cut it: it is then wrong, whatever stands in it.

    `logprobs` is [min, mean] over all tokens, `until` the same up to the end of each step; `tokens` is the length
    and `ends` the tokens up to the end of each step; None where not known.
    """

    steps: tuple[str, ...]
    done: bool
    logprobs: Pair | None = None
    until: tuple[Pair, ...] | None = None
    tokens: int | None = None
    ends: tuple[int, ...] | None = None

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.steps)

    def path(self) -> Path:
        """The answer as scorers and verifiers read it."""
        return Path(self.steps)


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first steps of an answer, or the question alone; as often as it was drawn."""

    steps: tuple[str, ...] = ()
    logprobs: Pair | None = None
    tokens: int | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.steps)


def answer_row(drawn: Drawn) -> dict[str, Any]:
    """An answer as JSON."""
    path = drawn.path
    pairs = [summary(drawn.logprobs_until(k + 1)) for k in range(len(path.steps))]
    return {
        "steps": path.steps,
        "done": finished(path),
        "logprobs": summary(path.logprobs),
        "until": None if None in pairs else pairs,
        "tokens": len(path.logprobs or ()) or path.usage.completion_tokens or None,
        "ends": drawn.ends or None,
    }


def answer_of(row: Mapping[str, Any]) -> Answer:
    """The answer of a JSON row."""
    pair, until, ends = row["logprobs"], row["until"], row["ends"]
    return Answer(
        tuple(row["steps"]),
        row["done"],
        None if pair is None else (pair[0], pair[1]),
        None if until is None else tuple((low, mean) for low, mean in until),
        row["tokens"],
        None if ends is None else tuple(ends),
    )


def finished(path: Path) -> bool:
    """Whether the model ended the answer itself."""
    return path.done and path.finish_reason not in {"length", "max_tokens", "MAX_TOKENS"}


def cost(paths: Sequence[Path], asked: str) -> dict[str, int]:
    """Tokens of `paths`, answers to `asked`; where a sampler tells none, a token is four characters."""
    total = sum((path.usage for path in paths), Usage())
    completion = total.completion_tokens or sum(estimated(path.text) for path in paths)
    prompt = total.prompt_tokens or estimated(asked) * max(len(paths), 1)
    return {"prompt_tokens": prompt, "completion_tokens": completion}


def estimated(text: str) -> int:
    """About how many tokens a text has.

    >>> estimated("How many apples?")
    4
    """
    return ceil(len(text) / _CHARACTERS_PER_TOKEN)


def cuts(answers: Sequence[Answer], most: int, rng: Random) -> list[Prefix]:
    """At most `most` proper prefixes of each answer, chosen by chance, short ones first; repeats are kept.

    A prefix that several answers share stands here as often as it was drawn, so that the data has prefixes as
    often as they occur; it is continued only once.
    """
    return [_prefix(answer, cut) for answer in answers for cut in _places(len(answer.steps), most, rng)]


def _prefix(answer: Answer, cut: int) -> Prefix:
    pair = answer.until[cut - 1] if answer.until else None
    return Prefix(answer.steps[:cut], pair, answer.ends[cut - 1] if answer.ends else None)


def _places(steps: int, most: int, rng: Random) -> list[int]:
    inside = range(1, steps)
    return sorted(rng.sample(inside, min(most, len(inside))))
