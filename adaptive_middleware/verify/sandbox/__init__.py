"""Sandbox: places to run code that nobody has read, and what they answer."""
