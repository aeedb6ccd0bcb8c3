"""Benchmarks: every number of the documentation comes from a command here."""
