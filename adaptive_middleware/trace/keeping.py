"""What is kept of texts, by level: nothing, hashes, or the texts without what must not be written down."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from adaptive_middleware.redaction import Redaction
from adaptive_middleware.trace.settings import Level

LONGEST = 100_000
"""Most characters of one text or step that are kept."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """A level with the redaction that carries it out.

    >>> Keeping("hash").text("What is 2 + 2?")
    'sha256:38d46ad3618826cf660df542bcf13a3b'
    >>> Keeping("redacted").text("mail ann@example.org"), Keeping("full").text("mail ann@example.org")
    ('mail [email]', 'mail ann@example.org')
    """

    level: Level
    credentials: Redaction = field(default_factory=Redaction)

    @classmethod
    def of(cls, level: Level) -> Self:
        """A level that knows the secrets of this process's environment."""
        return cls(level, Redaction.of(personal=level == "redacted"))

    def __post_init__(self) -> None:
        wanted = self.level == "redacted"
        if self.credentials.personal is not wanted:
            object.__setattr__(self, "credentials", Redaction(self.credentials.secrets, personal=wanted))

    @property
    def texts(self) -> bool:
        """Whether texts can be read again."""
        return self.level in {"redacted", "full"}

    def text(self, text: str) -> str | None:
        """What is kept of a text that a user or a model wrote."""
        if self.texts:
            return self.credentials(_shortened(text))
        if self.level == "none":
            return None
        return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"

    def steps(self, steps: Sequence[str]) -> list[str] | None:
        """What is kept of an answer: its steps where texts are kept, else one text that stands for all of it."""
        if self.texts:
            return [self.credentials(_shortened(step)) for step in steps]
        kept = self.text("".join(steps))
        return None if kept is None else [kept]

    def cause(self, text: str) -> str:
        """What is kept of a cause of trouble: where texts are not kept, the part before its first colon."""
        return self.credentials(_shortened(text) if self.texts else text.partition(":")[0])


def _shortened(text: str) -> str:
    more = len(text) - LONGEST
    return text if more <= 0 else f"{text[:LONGEST]} [{more:,} characters more]"
