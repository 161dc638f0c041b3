"""Quarantined rows: which of them fit now, and the load that replays these."""
