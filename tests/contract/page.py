"""The adapter of docs/custom.md: the page's code, run as it is written."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[2] / "docs" / "custom.md"


def code() -> str:
    """All of the page's Python, in order."""
    return "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


def module() -> ModuleType:
    """The page as a module."""
    found = ModuleType("custom_page")
    sys.modules[found.__name__] = found  # where dataclasses look for the names of their fields
    exec(compile(code(), str(PAGE), "exec"), vars(found))  # noqa: S102 - the page of this repository
    return found
