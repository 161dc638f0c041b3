"""Loads that are killed, delayed and disturbed, in processes of their own."""
