"""Sampling: a language model in this process, and the fan-out of samples that adapters share."""
