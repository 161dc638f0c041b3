"""Loads that are rejected before their commit."""
