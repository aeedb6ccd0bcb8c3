"""Python read line by line: where statements begin and how deep they lie, without a parser and in linear time.

Only what a tokenizer would keep is kept: open brackets, open strings, the stack of indentations. So a program may be
unfinished or broken; a statement's keyword at the beginning of a line ends brackets that were left open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["blank", "comment", "inside", "statement"]
"""A line without text, a comment alone, the continuation of a statement, or the first line of one."""

_TOKEN = re.compile(
    r"""#[^\n]*|\"{3}|'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|["']|[(\[{]|[)\]}]""", re.DOTALL
)
_ENDS = {quote: re.compile(rf"\\.|{quote}", re.DOTALL) for quote in ('"""', "'''", '"', "'")}
_WORD = re.compile(r"@|[A-Za-z_]\w*|")
_CONTINUES = frozenset({"else", "elif", "except", "finally"})
_STATEMENT = re.compile(r"(?:assert|class|def|del|global|import|nonlocal|pass|raise|return|try|while|with)\b")


@dataclass(slots=True)
class PythonLines:
    """Reads the lines of one program in order; the fields say what is known of the line read last.

    `depth` counts the blocks around the statement (0: top level), `opens` says that it is the first of its block, and
    `continues` that it belongs to the statement before it: `else` and its like, or what a decorator decorates.
    """

    depth: int = 0
    opens: bool = False
    continues: bool = False
    _columns: list[int] = field(default_factory=list)
    _brackets: int = 0
    _quote: str = ""
    _joined: bool = False
    _decorates: bool = False

    @property
    def in_string(self) -> bool:
        """Whether a string is open at the end of what was read."""
        return bool(self._quote)

    def read(self, line: str) -> Kind:
        """What `line` is; it may end in a line break, and is the only text looked at."""
        if self._quote:
            self._scan(line)
            return "inside"
        text = line.strip()
        if self._brackets and _STATEMENT.match(text):
            self._brackets = 0
        if self._brackets or self._joined:
            self._scan(line)
            return "inside"
        if not text:
            return "blank"
        if text.startswith("#"):
            return "comment"
        self._place(line, _word(text))
        self._scan(line)
        return "statement"

    def _place(self, line: str, word: str) -> None:
        """Where a new statement stands: a first one that is indented is taken for the body of something unseen."""
        column = len(line[: len(line) - len(line.lstrip())].expandtabs(8))
        if not self._columns:
            self._columns = [0, column] if column else [0]
            self.opens = True
        else:
            while self._columns and column < self._columns[-1]:
                self._columns.pop()
            self.opens = bool(self._columns) and column > self._columns[-1]
            if not self._columns or self.opens:
                self._columns.append(column)
        self.depth = len(self._columns) - 1
        self.continues = word in _CONTINUES or self._decorates
        self._decorates = word == "@"

    def _scan(self, line: str) -> None:
        """Brackets and strings of a line, from the state that the line before it left."""
        at, piece = 0, ""
        while found := (_ENDS[self._quote] if self._quote else _TOKEN).search(line, at):
            at, piece = found.end(), found.group()
            self._piece(piece)
        self._joined = line.rstrip("\r\n").endswith("\\") and not piece.startswith("#")
        if len(self._quote) == 1 and not self._joined:
            self._quote = ""  # a string in one line that its writer left open

    def _piece(self, piece: str) -> None:
        if self._quote:
            self._quote = "" if piece == self._quote else self._quote
        elif piece in _ENDS:
            self._quote = piece
        elif piece in "([{":
            self._brackets += 1
        elif piece in ")]}":
            self._brackets = max(self._brackets - 1, 0)


def _word(text: str) -> str:
    found = _WORD.match(text)
    return "" if found is None else found.group()
