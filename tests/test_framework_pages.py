"""Every way to wrap has a page that says how, what is kept, what changes and where it ends; small adapters quote code that runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = sorted((ROOT / "docs" / "frameworks").glob("*.md"))
PAGES = [
    *SMALL,
    ROOT / "integrations" / "langchain" / "README.md",
    ROOT / "integrations" / "llama_index" / "README.md",
    ROOT / "docs" / "openai-sdk.md",
    ROOT / "docs" / "proxy.md",
]
EXAMPLE = re.compile(r"\.\./\.\./examples/(wrap_\w+)\.py")
TESTED = {"wrap_langchain", "wrap_llama_index"}
"""Examples of the adapters that have a package of their own."""


def blocks(page: Path) -> list[list[str]]:
    """The lines of each Python block, without indentation."""
    found = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [[line.strip() for line in block.splitlines() if line.strip()] for block in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_page_says_how_to_wrap_what_is_kept_what_changes_and_the_limits(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    asked = ["What is kept", "What changes", "Limits"]
    assert [heading for heading in headings if heading in asked] == asked
    assert 1 < len(blocks(page)[0]) <= 10


@pytest.mark.parametrize("page", SMALL, ids=lambda page: page.stem)
def test_every_line_of_the_page_s_code_is_a_line_of_the_example_in_its_order(page: Path) -> None:
    (stem,) = set(EXAMPLE.findall(page.read_text(encoding="utf-8")))
    example = (ROOT / "examples" / f"{stem}.py").read_text(encoding="utf-8")
    for block in blocks(page):
        left = iter([line.strip() for line in example.splitlines()])
        assert [line for line in block if line not in left] == []


def test_every_small_adapter_has_its_page_and_its_line_in_the_table() -> None:
    table = (ROOT / "docs" / "custom.md").read_text(encoding="utf-8")
    quoted = [stem for page in SMALL for stem in set(EXAMPLE.findall(page.read_text(encoding="utf-8")))]
    assert set(quoted) == {path.stem for path in (ROOT / "examples").glob("wrap_*.py")} - TESTED
    assert [page.stem for page in SMALL if f"(frameworks/{page.name})" not in table] == []
    assert [stem for stem in quoted if f"(../examples/{stem}.py)" not in table] == []


def test_every_small_adapter_runs_in_an_environment_of_its_own() -> None:
    (listed,) = re.findall(r"^FRAMEWORKS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    quoted = [name for page in SMALL for name in set(EXAMPLE.findall(page.read_text(encoding="utf-8")))]
    assert sorted(f"wrap_{name}" for name in listed.split()) == sorted(quoted)
