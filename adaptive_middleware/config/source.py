"""A configuration file: found, read whole, and handed to the reader of its language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path

from adaptive_middleware.config.document import Document
from adaptive_middleware.config.toml_reader import read_toml
from adaptive_middleware.config.yaml_reader import read_yaml
from adaptive_middleware.errors import ConfigError

LARGEST = 256 * 1024
READERS: Mapping[str, Callable[[str, str], Document]] = {
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".toml": read_toml,
}


def read_file(source: str | PathLike[str]) -> Document:
    """The document in a file; raises `ConfigError` when there is none, or when it is not text."""
    file = str(source)
    reader = READERS.get(Path(file).suffix.lower())
    if reader is None:
        message = (
            f"a configuration is a file named .yaml, .yml or .toml; rename it or choose another ({file!r})"
        )
        raise ConfigError(message, file=file)
    text = _text(_bytes(file), file)
    if not text.strip():
        message = "the file is empty; begin with 'version: 1'"
        raise ConfigError(message, file=file, line=1, column=1)
    return reader(text, file)


def _bytes(file: str) -> bytes:
    try:
        if not Path(file).is_file():
            what = "a directory or device, not a file" if Path(file).exists() else "not there"
            message = f"the file is {what}; give the path of a configuration file"
            raise ConfigError(message, file=file)
        with Path(file).open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        message = f"the file cannot be read ({error}); check its name and permissions"
        raise ConfigError(message, file=file) from error
    if len(content) > LARGEST:
        message = (
            f"the file is larger than {LARGEST // 1024} KiB; a configuration is not: is it the right file?"
        )
        raise ConfigError(message, file=file)
    return content


def _text(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        message = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError(message, file=file, line=line, column=column) from error
