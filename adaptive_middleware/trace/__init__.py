"""Traces: every answered call in one SQLite file, to explain, search, export and judge afterwards; see docs/traces.md."""
