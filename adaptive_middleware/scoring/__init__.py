"""Scoring: process reward models in this process, by family."""
