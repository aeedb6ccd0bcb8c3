"""Solving: a file of programming tasks, answered under a configuration, with every finished task kept."""
