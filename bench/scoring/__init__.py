"""Scoring speed: ways to score steps with a process reward model, side by side in one run, against the hardware."""
