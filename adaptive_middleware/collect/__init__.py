"""Collect: calibration data from prompts, kept in a journal that survives a kill."""
