"""Loads that run beside each other, or beside an operator."""
