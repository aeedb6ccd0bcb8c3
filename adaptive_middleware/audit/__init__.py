"""Audit: whether a calibration still holds on recorded decisions, and what would have been better."""
