"""Text to token ids, in pieces: nothing that a model or a user wrote can become a separator or a control token."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2.exceptions import TemplateError

from adaptive_middleware.errors import CheckpointError

QUESTION, FIRST, SECOND, THIRD = "\ue000", "\ue001", "\ue002", "\ue003"
"""Private-use characters that stand in a rendered template for what is filled in later."""

_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\x7f])"
)


def visible(text: str) -> str:
    r"""The text without characters that nobody sees: zero width, soft hyphens, directions, tags.

    Joiners stay between other than ASCII characters, where they are part of a script or an emoji.

    >>> visible("4\u200b2 = \u202e24\u200d.")
    '42 = 24.'
    """
    return _INVISIBLE.sub("", text)


class Text:
    """A tokenizer and the reserved ids (with their written form) that text must not produce.

    Invisible characters are left out: a model that never saw them takes a text full of them for anything.
    Text is encoded with special tokens taken literally. Markers that are ordinary or merely added tokens
    are not covered by that, so their written form is cut in two wherever it would become the reserved id.
    """

    def __init__(self, tokenizer: Any, reserved: Mapping[int, str] | None = None) -> None:  # noqa: ANN401
        self.tokenizer = tokenizer
        self._reserved = dict(reserved or {})

    def plain(self, text: str) -> tuple[int, ...]:
        """Ids of untrusted text at the beginning of a piece."""
        text = visible(text)
        return self._guarded(text, self._ids(text))

    def following(self, anchor: str, text: str) -> tuple[int, ...]:
        """Ids of untrusted text as they are after the words `anchor`: no second space is invented before it."""
        text = visible(text)
        before, whole = self._ids(anchor), self._ids(anchor + text)
        if whole[: len(before)] != before:
            return self.plain(text)
        return self._guarded(text, whole[len(before) :])

    def final(self, text: str) -> tuple[int, ...]:
        """Ids of a template's own text, control tokens included, at the end of a row."""
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def trusted(self, text: str) -> tuple[int, ...]:
        """Ids of a template's own text, control tokens included, as they are when a word follows."""
        whole = self.final(text + "x")
        return whole[:-1] if self.tokenizer.decode(whole[-1:]) == "x" else self.final(text)

    def token(self, surface: str) -> int:
        """The one id that `surface` ends in, as the public recipes read it."""
        ids = self.tokenizer(surface, add_special_tokens=False)["input_ids"]
        if not ids or surface not in self.tokenizer.decode(ids[-1:]):
            message = f"the tokenizer has no token for {surface!r}: it does not belong to this family"
            raise CheckpointError(message)
        return int(ids[-1])

    @property
    def start(self) -> tuple[int, ...]:
        """The beginning-of-text id where the tokenizer adds one of its own."""
        first = self.tokenizer("a")["input_ids"][:1]
        return tuple(first) if first == [self.tokenizer.bos_token_id] else ()

    def chat(self, messages: Sequence[Mapping[str, str]], marks: str, *, generate: bool = False) -> list[str]:
        """The chat template's own text between the `marks` that stand in `messages`."""
        try:
            text = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, add_generation_prompt=generate
            )
        except (TemplateError, ValueError) as error:
            message = f"the tokenizer's chat template cannot render this family's conversation: {error}"
            raise CheckpointError(message) from error
        return cut(str(text), marks)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def _guarded(self, text: str, ids: tuple[int, ...]) -> tuple[int, ...]:
        if self._reserved.keys().isdisjoint(ids):
            return ids
        pieces = [text]
        for surface in self._reserved.values():
            half = len(surface) // 2
            pieces = [part for piece in pieces for part in _halved(piece, surface, half)]
        broken = (i for piece in pieces for i in self._ids(piece))
        return tuple(i for i in broken if i not in self._reserved)


def cut(text: str, marks: str) -> list[str]:
    """The text between the `marks`, each of which must stand in it once and in order.

    >>> cut("a1b2c", "12")
    ['a', 'b', 'c']
    """
    pieces = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found or mark in text:
            message = "the tokenizer's chat template does not show every message once and in order"
            raise CheckpointError(message)
        pieces.append(before)
    return [*pieces, text]


def _halved(text: str, surface: str, half: int) -> list[str]:
    """The text cut in the middle of each `surface`; joined, it is the text again.

    >>> _halved("a<m>b<m>", "<m>", 1)
    ['a<', 'm>b<', 'm>']
    """
    parts = text.split(surface)
    heads = [part + surface[:half] for part in parts[:-1]] + [parts[-1]]
    return [head if n == 0 else surface[half:] + head for n, head in enumerate(heads)]
