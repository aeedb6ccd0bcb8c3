"""Servers: the process reward model behind HTTP."""
