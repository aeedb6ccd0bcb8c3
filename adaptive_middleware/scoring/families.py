"""The families of process reward models: what each one reads, and how its outputs become probabilities.

Pure: a tokenizer is passed in, nothing here knows torch. The formats are those of the public model cards
and evaluation scripts. Steps keep their trailing newlines in a `Path`; the public recipes score steps
without them, so every family strips: newlines only where inner spaces may matter (Qwen, Skywork),
otherwise all surrounding white space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.scoring.rows import Layout
from adaptive_middleware.scoring.text import FIRST, QUESTION, SECOND, THIRD, Text, cut

MARKER, SHEPHERD_MARKER = "<extra_0>", "ки"
QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
JUDGE_PROMPT = (
    f"Problem:\n{QUESTION}\n\nSolution so far:\n{FIRST}\n\n"
    "Is the last step of this solution correct, and can the solution still succeed? Answer with Yes or No."
)


@dataclass(frozen=True, slots=True)
class Family:
    """A layout, a reading of the head's outputs, and, for language models, the ids whose logits are read."""

    layout: Layout
    decode: Callable[[Sequence[float]], float]
    labels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What a model's config.json may set under `adaptive_family`.

    `name` selects the family and `id` names the model. `system` replaces the system prompt of
    Qwen-Math-style templates (null: none); `labels` are a judge's words for right and wrong.
    """

    name: str | None = None
    id: str | None = None
    system: str | None = QWEN_SYSTEM
    labels: tuple[str, str] = ("Yes", "No")

    @staticmethod
    def of(config: Mapping[str, object]) -> Options:
        """The options in a config.json; raises `CheckpointError` for unknown ones."""
        given = config.get("adaptive_family", {})
        known = [field.name for field in fields(Options)]
        if not isinstance(given, dict) or not given.keys() <= set(known):
            message = (
                f"config.json has adaptive_family={given!r}: give an object with some of {', '.join(known)}"
            )
            raise CheckpointError(message)
        options = Options(**{**given, "labels": tuple(given.get("labels", Options().labels))})
        texts = [text for text in (options.name, options.id, options.system) if text is not None]
        words = [word for word in options.labels if word]
        if len(words) != 2 or not all(isinstance(text, str) for text in [*texts, *words]):
            message = f"config.json has adaptive_family={given!r}: texts are needed, and two words as labels"
            raise CheckpointError(message)
        return options


def positive_class(logits: Sequence[float]) -> float:
    """Softmax probability of the second class.

    >>> positive_class([0.0, 0.0])
    0.5
    """
    return _softmax(logits)[1]


def first_label(logits: Sequence[float]) -> float:
    """Softmax probability of the first label against the others."""
    return _softmax(logits)[0]


def validity(logits: Sequence[float]) -> float:
    """Softmax probability of neutral plus positive, of (negative, neutral, positive) (ReasonEval)."""
    total = math.fsum(_softmax(logits)[1:])
    return 1.0 if total > 1 else total  # min() would turn NaN into 1


def sigmoid(logits: Sequence[float]) -> float:
    """Logistic function of the only value.

    >>> sigmoid([-1000.0])
    0.0
    """
    value = logits[0]
    small = math.exp(-abs(value))
    return small / (1 + small) if value < 0 else 1 / (1 + small)


def _softmax(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    powers = [math.exp(logit - top) for logit in logits]
    total = math.fsum(powers)
    return [power / total for power in powers]


def qwen_math_prm(tokenizer: Any, options: Options) -> Family:  # noqa: ANN401
    """Qwen2.5-Math-PRM: a chat whose answer carries `<extra_0>` after each step; two classes are read there.

    The card's system prompt is given where the template has a system turn of its own.
    """
    marker = Text(tokenizer).token(MARKER)
    text = Text(tokenizer, {marker: MARKER})
    user = {"role": "user", "content": QUESTION}
    head, tail = text.chat([user], QUESTION, generate=True)
    if options.system is not None and "system" in head:
        system = {"role": "system", "content": options.system}
        head, tail = text.chat([system, user], QUESTION, generate=True)
    layout = Layout(
        question=text.plain,
        step=lambda step, _: (*text.plain(step.strip("\n")), marker),
        head=text.trusted(head),
        tail=text.trusted(tail),
    )
    return Family(layout, positive_class)


def skywork_prm(tokenizer: Any, options: Options) -> Family:  # noqa: ANN401, ARG001
    """Skywork-o1-Open-PRM: lines, each ended by a newline token; a value head is read at a step's last one."""
    text = Text(tokenizer)
    newline = text.token("\n")

    def step(written: str, _: bool) -> tuple[int, ...]:
        lines = [line for line in written.split("\n") if line]
        return tuple(i for line in lines for i in (*text.plain(line), newline)) or (newline,)

    start = tokenizer.bos_token_id
    head = () if start is None else (start,)
    return Family(Layout(question=lambda asked: text.plain(asked + "\n"), step=step, head=head), sigmoid)


def math_shepherd(tokenizer: Any, options: Options) -> Family:  # noqa: ANN401, ARG001
    """Math-Shepherd: plain text with `ки` after each step, where a language model says '+' or '-'."""
    marker = Text(tokenizer).token(SHEPHERD_MARKER)
    text = Text(tokenizer, {marker: SHEPHERD_MARKER})

    def step(written: str, opening: bool) -> tuple[int, ...]:
        anchor, gap = (".", " ") if opening else (SHEPHERD_MARKER, "\n\n")
        return (*text.following(anchor, gap + written.strip()), marker)

    layout = Layout(question=text.plain, step=step, head=text.start)
    return Family(layout, first_label, (text.token("+"), text.token("-")))


def rlhflow(tokenizer: Any, options: Options) -> Family:  # noqa: ANN401, ARG001
    """RLHFlow: a chat of one user turn per step; a language model answers each turn with '+' or '-'."""
    text = Text(tokenizer)
    turns = [(QUESTION, "user"), (FIRST, "assistant"), (SECOND, "user"), (THIRD, "assistant")]
    messages = [{"role": role, "content": mark} for mark, role in turns]
    head, answer, turn, _, _ = text.chat(messages, QUESTION + FIRST + SECOND + THIRD)
    plus, minus = text.token("+"), text.token("-")
    answering, between = text.trusted(answer), (plus, *text.trusted(turn))

    def step(written: str, opening: bool) -> tuple[int, ...]:
        if opening:
            return (*text.following(".", " " + written.strip()), *answering)
        return (*between, *text.plain(written.strip()), *answering)

    layout = Layout(question=lambda asked: text.plain(asked.strip()), step=step, head=text.trusted(head))
    return Family(layout, first_label, (plus, minus))


def reasoneval(tokenizer: Any, options: Options) -> Family:  # noqa: ANN401, ARG001
    """ReasonEval: plain text without separators; three classes are read at the end of each step.

    The published script for the 7B model, whose padding token is its first token, reads one token earlier.
    """
    text = Text(tokenizer)
    padding, start = tokenizer.pad_token_id, tokenizer.bos_token_id
    layout = Layout(
        question=lambda asked: text.following("\n", asked),
        step=lambda written, _: text.plain(written.strip()),
        head=(*text.start, *text.plain("Question:\n")),
        tail=text.following(".", "\nAnswer:\nLet's think step by step.\n"),
        lag=int(padding is not None and padding == start),
    )
    return Family(layout, validity)


def judge(tokenizer: Any, options: Options) -> Family:  # noqa: ANN401
    """Any causal language model, asked after each step: P(yes) / (P(yes) + P(no)) of the next token."""
    text = Text(tokenizer)
    marks = QUESTION + FIRST
    if tokenizer.chat_template:
        head, tail, closing = text.chat([{"role": "user", "content": JUDGE_PROMPT}], marks, generate=True)
        start: tuple[int, ...] = ()
        labels = tuple(text.following("\n", word)[0] for word in options.labels)
    else:
        head, tail, closing = cut(JUDGE_PROMPT + "\nAnswer:", marks)
        start = text.start
        labels = tuple(text.following(":", " " + word)[0] for word in options.labels)
    if labels[0] == labels[1]:
        message = f"the labels {options.labels!r} begin with the same token here: choose other words"
        raise CheckpointError(message)
    layout = Layout(
        question=text.plain,
        step=lambda written, opening: text.following("\n", ("" if opening else "\n") + written.strip()),
        head=(*start, *text.trusted(head)),
        tail=text.trusted(tail),
        closing=text.final(closing),
        per_step=True,
    )
    return Family(layout, first_label, labels)
