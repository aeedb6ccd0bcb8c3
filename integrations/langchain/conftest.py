"""Doctests are looked for in every file; one of them can only be imported with langchain-core 1.8 or later."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("langchain_core.decisions") else ["langchain_adaptive/decisions.py"]
