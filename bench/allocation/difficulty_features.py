"""What a question looks like, as named numbers: its length and numbers, and, where it is Python, how its code is built.

A puzzle is a function that checks an answer, so its code says what has to be found: the answer is the function's first
argument. Names that depend on it are followed through assignments and loops; what is done to them, and what they are
compared with, is what makes a puzzle hard. Nothing is run.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from statistics import median

from adaptive_middleware.recording import Problem

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LARGEST = 1e30
_NESTS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_KINDS: dict[type[ast.cmpop], str] = {ast.Eq: "equal", ast.NotEq: "other", ast.In: "in", ast.NotIn: "out"}


def text_of(problem: Problem) -> str:
    """The question as the policy saw it; in recordings of CRUXEval, the code and the output that it should have.

    The recorded input there is a right answer, so it is not looked at.
    """
    shown = [problem.extra.get(name) for name in ("code", "output")]
    return problem.question or "\n\n".join(part for part in shown if isinstance(part, str))


def features(text: str, *, code: bool = True) -> dict[str, float]:
    r"""Named numbers >= 0 of a question's text; a name that is missing stands for 0.

    >>> found = features("def f(s: str):\n    return s[::-1] == 'olleh'")
    >>> found["answer str"], found["compare equal one Subscript"], found["lines"]
    (1.0, 1.0, 2.0)
    """
    found = _code(text) if code else Counter[str]()
    return _surface(text) | {name: float(value) for name, value in found.items()}


def _surface(text: str) -> dict[str, float]:
    lines = text.splitlines()
    numbers = [min(float(one), _LARGEST) for one in _NUMBER.findall(text)]
    return {
        "characters": float(len(text)),
        "words": float(len(text.split())),
        "lines": float(len(lines)),
        "indent": float(max((len(line) - len(line.lstrip()) for line in lines), default=0)),
        "numbers": float(len(numbers)),
        "number largest": max(numbers, default=0.0),
        "number median": median(numbers) if numbers else 0.0,
    }


def _code(text: str) -> Counter[str]:
    function = _first_function(text)
    if function is None:
        return Counter()
    arguments = [*function.args.posonlyargs, *function.args.args]
    answer = arguments[0] if arguments else ast.arg("")
    counts = Counter(f"node {type(node).__name__}" for node in ast.walk(function))
    counts.update(f"call {name}" for name in _called(function))
    counts.update(_wanted(answer))
    counts.update(_size(function))
    counts.update(_flow(function, answer.arg))
    return counts


def _first_function(text: str) -> ast.FunctionDef | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in somebody's question is not our concern
            nodes = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return next((node for node in nodes if isinstance(node, ast.FunctionDef)), None)


def _called(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                yield name


def _wanted(answer: ast.arg) -> Counter[str]:
    kind = ast.unparse(answer.annotation) if answer.annotation else "unknown"
    words = Counter(f"answer of {word}" for word in re.findall(r"\w+", kind))
    return Counter({f"answer {kind}": 1, "answer depth": kind.count("[")}) + words


def _size(function: ast.FunctionDef) -> dict[str, int]:
    constants = [node.value for node in ast.walk(function) if isinstance(node, ast.Constant)]
    strings = [len(value) for value in constants if isinstance(value, str)]
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    parts = [
        len(value.values) if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.And) else 1
        for value in returned
    ]
    asserts = sum(isinstance(node, ast.Assert) for node in ast.walk(function))
    return {
        "nodes": sum(1 for _ in ast.walk(function)),
        "depth": _depth(function),
        "loops in loops": _nested(function),
        "constraints": asserts + (parts[-1] if parts else 0),
        "returns a constant": int(bool(returned) and isinstance(returned[-1], ast.Constant)),
        "floats": sum(isinstance(value, float) for value in constants),
        "string longest": max(strings, default=0),
        "strings length": sum(strings),
        "defaults length": sum(len(ast.unparse(default)) for default in function.args.defaults),
        "body length": sum(len(ast.unparse(node)) for node in function.body),
    }


def _depth(node: ast.AST) -> int:
    return 1 + max((_depth(child) for child in ast.iter_child_nodes(node)), default=0)


def _nested(node: ast.AST) -> int:
    inside = max((_nested(child) for child in ast.iter_child_nodes(node)), default=0)
    return inside + isinstance(node, _NESTS)


def _flow(function: ast.FunctionDef, answer: str) -> Counter[str]:
    names = touched(function, answer)
    nodes = list(ast.walk(function))
    loops = [node for node in nodes if isinstance(node, ast.For | ast.comprehension)]
    counts = Counter(
        f"compare {what}"
        for node in nodes
        if isinstance(node, ast.Compare)
        for what in _compared(node, names)
    )
    counts["touched names"] = len(names)
    counts["uses of the answer"] = _uses(function, {answer})
    counts["uses of touched names"] = _uses(function, names)
    counts["loops over touched names"] = sum(_uses(loop.iter, names) > 0 for loop in loops)
    counts["other loops"] = len(loops) - counts["loops over touched names"]
    counts["largest compared"] = max(
        (_largest_side(node, names) for node in nodes if isinstance(node, ast.Compare)), default=0
    )
    return counts


def touched(function: ast.FunctionDef, answer: str) -> set[str]:
    r"""The answer's name and every name that is assigned from it or loops over it, directly or not.

    >>> source = "def f(x, n=3):\n    y = x + n\n    z = n\n    return all(i == z for i in y)"
    >>> sorted(touched(ast.parse(source).body[0], "x"))
    ['i', 'x', 'y']
    """
    names: set[str] = {answer}
    moves = [move for node in ast.walk(function) for move in _moves(node)]
    grown = True
    while grown:
        found = {name for target, value in moves if _uses(value, names) for name in _named(target)}
        grown = not found <= names
        names |= found
    return names


def _moves(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    match node:
        case ast.For(target=target, iter=source) | ast.comprehension(target=target, iter=source):
            yield target, source
        case ast.Assign(targets=targets, value=source):
            yield from ((target, source) for target in targets)
        case ast.AugAssign(target=target, value=source) | ast.NamedExpr(target=target, value=source):
            yield target, source


def _named(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _uses(node: ast.AST, names: set[str]) -> int:
    return sum(isinstance(one, ast.Name) and one.id in names for one in ast.walk(node))


def _compared(node: ast.Compare, names: set[str]) -> Iterator[str]:
    """Each comparison: of what kind, whether the answer is on one side or both, and what is done to it there."""
    sides = [node.left, *node.comparators]
    for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
        kind = _KINDS.get(type(operator), "order")
        found = [side for side in (left, right) if _uses(side, names)]
        yield f"{kind} {('none', 'one', 'both')[len(found)]}"
        if len(found) == 1:
            yield f"{kind} one {_form(found[0])}"


def _form(side: ast.expr) -> str:
    match side:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name
    return type(side).__name__


def _largest_side(node: ast.Compare, names: set[str]) -> int:
    sides = [side for side in (node.left, *node.comparators) if _uses(side, names)]
    return max((sum(1 for _ in ast.walk(side)) for side in sides), default=0)
