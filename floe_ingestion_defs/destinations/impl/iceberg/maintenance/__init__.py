"""Maintenance that loads do not wait for."""
