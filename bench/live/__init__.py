"""Agents with a real model: `python -m bench.live` runs one task through every adapter and the proxy."""
