"""The process that runs one answer and its tests: limits itself, runs both, and leaves a mark at the end.

Run by `unit_tests` as a script: FOLDER SECRET SECONDS MEMORY_MB. Imports the standard library only.
"""

import resource
import sys
import types
from math import ceil
from pathlib import Path

LARGEST_FILE = 16 * 2**20


def limit(seconds: float, memory_mb: int) -> None:
    """Limits of this process: CPU seconds, address space, file size, no core file."""
    memory = memory_mb * 2**20
    for what, most in (
        (resource.RLIMIT_CPU, ceil(seconds) + 1),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def run(folder: Path) -> None:
    """The answer, then the tests in the same names; a test that exits with 0 (`unittest.main`) has passed."""
    module = types.ModuleType("answer")
    names = vars(module)
    exec(compile((folder / "answer.py").read_text("utf-8"), "answer.py", "exec"), names)  # noqa: S102 - its job
    names["__name__"] = "__main__"
    sys.modules["__main__"] = module
    before = dict(names)
    try:
        exec(compile((folder / "tests.py").read_text("utf-8"), "tests.py", "exec"), names)  # noqa: S102
        _call_tests(before, names)
    except SystemExit as ended:
        if ended.code not in {0, None}:
            raise


def _call_tests(before: dict[str, object], names: dict[str, object]) -> None:
    """Functions `test_*` that the tests themselves defined and that take nothing."""
    for name, value in list(names.items()):
        mine = name.startswith("test_") and before.get(name) is not value
        if mine and isinstance(value, types.FunctionType) and value.__code__.co_argcount == 0:
            value()


if __name__ == "__main__":
    place, secret = Path(sys.argv[1]), sys.argv[2]
    limit(float(sys.argv[3]), int(sys.argv[4]))
    sys.argv[1:] = []
    run(place)
    (place / "done").write_text(secret, "utf-8")
