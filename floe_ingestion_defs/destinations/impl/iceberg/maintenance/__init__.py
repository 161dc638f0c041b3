"""Maintenance that no load waits for."""
