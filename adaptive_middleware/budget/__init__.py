"""Budgets: what calls may cost together, reserved before it is spent and settled to what it was."""
