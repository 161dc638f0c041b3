"""Processes that are killed at every boundary of a load."""
