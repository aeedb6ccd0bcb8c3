"""The process that runs tests: the names that they need of an answer stand for objects in another process.

Such a `Remote` can be called, indexed, iterated and asked for attributes; what comes back are plain values, which the tests
then compare themselves. What would show the answer's code the other side of a comparison (`==`, `<`, `-`, ..) is not
offered: tests that need it are unsupported. Runs inside a sandbox: the standard library only.
"""

from __future__ import annotations

import builtins
import sys

from adaptive_middleware.verify.sandbox.codec import Garbled, Unsupported, from_bytes, to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType
    from typing import Any, NoReturn

_SHOWN = 400
_REFUSED = (1, 13, 97, 101, 111)
"""EPERM, EACCES, EAFNOSUPPORT, ENETUNREACH and ECONNREFUSED of Linux."""


class Beyond(BaseException):
    """What cannot be done with an answer in another process; no `except Exception` of tests gets in its way."""


class Link:
    """The way to the answer's process, and what came of using it."""

    def __init__(self, ask: Callable[[bytes], bytes]) -> None:
        self._ask = ask
        self.calls = 0
        self.beyond = ""
        self.raised: BaseException | None = None
        self.errors: dict[str, type[BaseException]] = {}

    def ask(self, *request: object) -> Any:  # noqa: ANN401 - any value
        """The value that the answer's code gives, or the error that it raises."""
        try:
            written = to_bytes(list(request), _number)
        except Unsupported as error:
            self.stop("an argument is", error)
        self.calls += request[0] != "names"
        reply = self._ask(written)
        try:
            value = from_bytes(reply[1:], self.remote)
        except Garbled:
            self.stop("the result is no value")
        if reply[:1] == b"V":
            return value
        if reply[:1] == b"U":
            self.stop("the result is", value)
        builtin, own, message, line = value
        text = f"{message} (line {line} of the answer)" if line else message
        self.raised = _error(self.errors.get(own) or getattr(builtins, builtin, RuntimeError), text)
        raise self.raised

    def remote(self, number: int) -> Remote:
        """What stands here for an object of the answer."""
        return Remote(self, number)

    def stop(self, *why: object) -> NoReturn:
        """Raise `Beyond`, and remember why, whatever the tests make of it."""
        self.beyond = self.beyond or " ".join(map(str, why))
        raise Beyond(self.beyond)


def _error(kind: Any, text: str) -> Exception:  # noqa: ANN401 - any builtin
    if not isinstance(kind, type) or not issubclass(kind, Exception) or issubclass(kind, UnicodeError):
        return RuntimeError(text)
    return ExceptionGroup(text, [RuntimeError(text)]) if issubclass(kind, BaseExceptionGroup) else kind(text)


def _number(value: object) -> int:
    if type(value) is Remote:
        return int(object.__getattribute__(value, "_number"))
    what = f"of type {type(value).__name__}"
    raise Unsupported(what)


class Remote:
    """An object of the answer's process."""

    def __init__(self, link: Link, number: int) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_number", number)

    def __call__(self, *arguments: object, **named: object) -> Any:  # noqa: ANN401 - any value
        """The result of a call in the answer's process."""
        return _ask(self, "call", self, list(arguments), named)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any value
        return _ask(self, "attribute", self, name)

    def __setattr__(self, name: str, value: object, /) -> None:
        _ask(self, "set", self, name, value)

    def __len__(self) -> int:
        return int(_ask(self, "length", self))

    def __iter__(self) -> Iterator[object]:
        return iter(list(_ask(self, "list", self)))

    def __next__(self) -> Any:  # noqa: ANN401 - any value
        return _ask(self, "next", self)

    def __bool__(self) -> bool:
        return _ask(self, "truth", self) is True

    def __str__(self) -> str:
        return str(_ask(self, "text", self))

    def __repr__(self) -> str:
        return str(_ask(self, "repr", self))

    def __getitem__(self, key: object) -> Any:  # noqa: ANN401 - any value
        return _ask(self, "item", self, key)

    def __setitem__(self, key: object, value: object) -> None:
        _ask(self, "put", self, key, value)

    def __delitem__(self, key: object) -> None:
        _ask(self, "delete", self, key)

    def __enter__(self) -> Any:  # noqa: ANN401 - any value
        return _ask(self, "attribute", self, "__enter__")()

    def __exit__(self, *error: object) -> None:
        _ask(self, "attribute", self, "__exit__")(None, None, None)


def _ask(remote: Remote, *request: object) -> Any:  # noqa: ANN401 - any value
    link: Link = object.__getattribute__(remote, "_link")
    return link.ask(*request)


def _refuse(name: str) -> Callable[..., object]:
    def refuse(self: Remote, *_: object) -> object:
        link: Link = object.__getattribute__(self, "_link")
        link.stop("an object of the answer is used with", name, "(only plain values can be compared)")

    return refuse


for _name in "eq ne lt le gt ge add sub mul truediv floordiv mod pow and or xor lshift rshift matmul".split():  # noqa: SIM905
    setattr(Remote, f"__{_name}__", _refuse(f"__{_name}__"))
    if _name not in {"eq", "ne", "lt", "le", "gt", "ge"}:
        setattr(Remote, f"__r{_name}__", _refuse(f"__r{_name}__"))
for _name in "hash neg pos abs invert int float complex index round".split():  # noqa: SIM905 - a list of words
    setattr(Remote, f"__{_name}__", _refuse(f"__{_name}__"))


def check(
    ask: Callable[[bytes], bytes], tests: str, prelude: str, entries: list[str], last: str
) -> tuple[str, str]:
    """Run `prelude`, then `tests`, then `last`, all with the answer's names; a verdict and its detail.

    `entries` are the names of the answer that tests may use, even where `prelude` defines them. Without entries it is
    every name that neither `prelude` nor Python itself defines; modules of the standard library are the checker's own.
    """
    link, module = Link(ask), type(sys)("__main__")
    sys.modules["__main__"], names = module, vars(module)  # where unittest.main looks for tests
    try:
        code = [compile(prelude, "prelude.py", "exec"), compile(f"{tests}\n{last}", "tests.py", "exec")]
        exec(code[0], names)  # noqa: S102 - its job, in a sandbox
    except Exception as error:  # noqa: BLE001 - tests may raise anything
        return "unverified", f"the tests cannot be run: {type(error).__name__}: {error}"[:_SHOWN]
    try:
        used = set(entries) or _undefined(code[1], names)
        values, errors = link.ask("names", sorted(used))
        link.errors = {
            name: type(name, (getattr(builtins, errors[name]),), {}) for name in used & set(errors)
        }
        link.calls += sum(type(values[name]) is not Remote for name in used & set(values))
        # only what was asked for: an answer that speaks for itself may tell more names than that
        names.update({name: values[name] for name in used & set(values)}, **link.errors)
        _run(code[1], names)
    except BaseException as error:  # noqa: BLE001 - tests may raise anything
        return _fault(link, error, tests)
    return ("unsupported", link.beyond) if link.beyond else ("pass" if link.calls else "useless", "")


def _undefined(code: CodeType, names: dict[str, Any]) -> set[str]:
    """Names that only the answer can define."""
    used = _used(code) - set(dir(builtins)) - set(names)
    for name in used & set(sys.stdlib_module_names):
        names[name] = __import__(name)
    return used - set(sys.stdlib_module_names)


def _used(code: CodeType) -> set[str]:
    inner = [_used(one) for one in code.co_consts if isinstance(one, type(code))]
    return {name for name in code.co_names if not name.startswith("__")}.union(*inner)


def _run(code: CodeType, names: dict[str, Any]) -> None:
    """The tests, and the functions `test_*` without parameters that they define; `unittest.main` exits with 0."""
    before = dict(names)
    try:
        exec(code, names)  # noqa: S102 - its job, in a sandbox
        for name, value in list(names.items()):
            if name.startswith("test_") and before.get(name) is not value and _takes_nothing(value):
                value()
    except SystemExit as ended:
        if ended.code:
            raise


def _takes_nothing(value: Any) -> bool:  # noqa: ANN401 - any value
    return isinstance(value, type(lambda: None)) and value.__code__.co_argcount == 0


def _fault(link: Link, error: BaseException, tests: str) -> tuple[str, str]:
    line, trace = 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == "tests.py" else line
        trace = trace.tb_next
    lines = tests.splitlines()
    where = f" at: {lines[line - 1].strip()}" if 0 < line <= len(lines) else ""
    detail = f"{type(error).__name__}: {error}{where}"[:_SHOWN]
    if link.beyond:
        return "unsupported", link.beyond
    if error is link.raised:
        return ("memory" if isinstance(error, MemoryError) else "error"), detail
    if isinstance(error, (AssertionError, SystemExit)):
        return "wrong" if link.calls else "unverified", detail
    if isinstance(error, OSError) and (
        error.errno in _REFUSED or type(error).__module__ in {"socket", "urllib.error"}
    ):
        return "unverified", f"the tests need what no sandbox gives, such as a network: {detail}"[:_SHOWN]
    return ("error" if link.calls or isinstance(error, NameError) else "unverified"), detail
