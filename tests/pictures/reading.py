"""A reader of report pages: tags in order with their attributes, and whether they nest."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "wbr", "br"}


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    attributes: dict[str, str]
    inside: tuple[str, ...]


@dataclass(slots=True)
class Read:
    tags: list[Tag] = field(default_factory=list)
    texts: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def named(self, *names: str) -> list[Tag]:
        return [tag for tag in self.tags if tag.name in names]

    def text(self, name: str) -> list[str]:
        """The texts directly inside tags of this name."""
        return [text for inside, text in self.texts if inside and inside[-1] == name]

    def ids(self) -> list[str]:
        return [tag.attributes["id"] for tag in self.tags if "id" in tag.attributes]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.read = Read()
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read.tags.append(Tag(tag, {name: value or "" for name, value in attrs}, tuple(self.stack)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read.tags.append(Tag(tag, {name: value or "" for name, value in attrs}, tuple(self.stack)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.read.texts.append((tuple(self.stack), data))


def read(page: str) -> Read:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.stack == []
    return reader.read
