"""Calibration: raw step scores in, honest probabilities out; fitted, measured, and kept in bundles."""
