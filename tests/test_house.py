"""docs/house.md is the map of the house; these tests keep it true."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOTS = (
    "adaptive_middleware",
    "integrations/langchain/langchain_adaptive",
    "integrations/llama_index/llama_index_adaptive",
    "bench",
    "examples",
)
LISTED = re.compile(r"^\| `([^`]+\.py)` \| (.+) \|$", re.MULTILINE)


def modules() -> set[str]:
    found = {path.relative_to(ROOT).as_posix() for root in ROOTS for path in (ROOT / root).rglob("*.py")}
    return {name for name in found if (ROOT / name).read_text(encoding="utf-8").strip()}


def listed() -> dict[str, str]:
    return dict(LISTED.findall((ROOT / "docs" / "house.md").read_text(encoding="utf-8")))


def test_the_map_lists_exactly_the_files_that_exist() -> None:
    assert set(listed()) == modules()


def test_every_line_of_the_map_says_something() -> None:
    assert all(len(line) > 10 for line in listed().values())


def test_every_module_says_what_it_is() -> None:
    silent = [
        name
        for name in modules()
        if not ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_no_package_file_is_longer_than_250_lines() -> None:
    long = {
        name: n
        for name in modules()
        if (n := len((ROOT / name).read_text(encoding="utf-8").splitlines())) > 250
    }
    assert long == {}


def function_lengths() -> dict[str, int]:
    lengths = {}
    for name in modules():
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                lengths[f"{name}:{node.name}"] = (body[-1].end_lineno or 0) - body[0].lineno + 1
    return lengths


def test_no_function_body_is_longer_than_25_lines() -> None:
    assert {name: n for name, n in function_lengths().items() if n > 25} == {}
