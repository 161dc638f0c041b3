"""Commits whose response is lost, late or wrong."""
