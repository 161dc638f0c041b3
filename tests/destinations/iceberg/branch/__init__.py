"""Branches: clones of production's tables."""
