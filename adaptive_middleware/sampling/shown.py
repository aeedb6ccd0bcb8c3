"""What a caller who watches has seen of the followed answer: the provider's own pieces, which cannot be taken back.

    shown = Shown()
    for seen in middleware.stream(request, sampler, streamer=streamer):
        yield from (piece.raw for piece in shown.more(seen))
    yield the_rest(shown.outcome) if shown.complete() else the_whole(shown.outcome)

An adapter makes its framework's chunks of the pieces, and of the outcome what it could not stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.reading import Open, Piece, Reading
from adaptive_middleware.types import Outcome, Path


@dataclass(slots=True)
class Shown:
    """The followed answer as far as the caller has seen it, and the outcome once it is there."""

    outcome: Outcome = field(init=False)
    _reading: Reading | None = None
    _count: int = 0
    _path: Path = Path(done=False)  # noqa: RUF009 - frozen

    def more(self, seen: Path | Outcome) -> Sequence[Piece]:
        """What the followed path has grown by; of one that failed nothing new is begun. The outcome is kept.

        Raises `SamplerError` when a second answer is followed after some of the first was shown.
        """
        if isinstance(seen, Outcome):
            self.outcome = seen
            return ()
        if isinstance(seen.raw, Open) and seen.raw.reading is not self._reading:
            self._nothing_yet("another answer was followed")
            self._reading = seen.raw.reading
        self._path = seen
        if self._reading is None:
            return ()
        new = self._reading.pieces[self._count :]
        if seen.error is not None:
            new = _to_the_last_text(new) if self._count else ()
        self._count += len(new)
        return new

    def complete(self) -> bool:
        """Whether the chosen answer was shown, all that there is of it; False when none of it was.

        One that broke off may be chosen as it is. Raises `SamplerError` when another one was chosen than was shown.
        """
        path, chosen = self._path, self.outcome.chosen
        same = path.raw is chosen.raw if path.error is None else path.text == chosen.text
        if self._count and path.ended and same:
            return True
        self._nothing_yet(path.error or "another one was chosen")
        return False

    def _nothing_yet(self, why: str) -> None:
        if self._count and self._reading is not None:
            message = (
                f"the answer broke off after {self._reading.size} characters, which were already shown: {why}"
            )
            raise SamplerError(message)


def _to_the_last_text(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """The pieces without those at the end that have no text: half a tool call must not be taken for a whole one."""
    texts = [i for i, piece in enumerate(pieces) if piece.text]
    return pieces[: texts[-1] + 1] if texts else ()
