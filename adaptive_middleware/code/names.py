"""Names of a program: which it defines at its top level, and which it uses although nothing defines them."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator

from adaptive_middleware.code.parsing import parsed, quiet

_KNOWN = frozenset({*dir(builtins), "__file__", "__name__", "__doc__", "__annotations__", "__builtins__"})


def functions(tree: ast.Module) -> frozenset[str]:
    r"""Functions and classes of the top level.

    >>> sorted(functions(ast.parse("def f(): pass\nclass A: pass\nx = 1")))
    ['A', 'f']
    """
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in tree.body if isinstance(node, defined))


def defined(code: str) -> frozenset[str]:
    r"""Every name that `code` binds at its top level or declares global; none where it does not parse.

    >>> sorted(defined("import os.path as p\nfor i in x: y = 1\ndef f():\n    global g\n    g = z = 1"))
    ['f', 'g', 'i', 'p', 'y']
    """
    table = _table(code)
    return frozenset() if table is None else frozenset(_defined(table))


def undefined(code: str) -> tuple[str, ...]:
    r"""Names that `code` uses and nothing in it defines, in alphabetical order; none where it does not parse.

    Where a name is defined is not looked at: a function may use what follows it. A star import may define anything, so
    nothing is undefined beside one.

    >>> undefined("def f(x):\n    return math.sqrt(x) + y"), undefined("from math import *\nprint(sqrt(2))")
    (('math', 'y'), ())
    """
    table, tree = _table(code), parsed(code)
    if table is None or tree is None or any(map(_is_star, ast.walk(tree))):
        return ()
    return tuple(sorted(set(_used(table)) - set(_defined(table)) - _KNOWN))


def _table(code: str) -> symtable.SymbolTable | None:
    """The symbols of the program; None where its scopes contradict each other."""
    try:
        with quiet():
            return symtable.symtable(code, "<answer>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_star(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.names[0].name == "*"


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    waiting = [table]
    while waiting:
        scope = waiting.pop()
        waiting += scope.get_children()
        yield scope


def _defined(table: symtable.SymbolTable) -> Iterator[str]:
    for scope in _scopes(table):
        top = scope is table
        for symbol in scope.get_symbols():
            bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            if bound and (top or symbol.is_declared_global()):
                yield symbol.get_name()


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or scope is table):
                yield symbol.get_name()
