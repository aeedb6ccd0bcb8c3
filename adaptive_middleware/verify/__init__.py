"""Verify: exact checks of answers."""
