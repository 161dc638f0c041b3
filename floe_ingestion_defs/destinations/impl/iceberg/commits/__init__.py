"""Commits to a table: what each asserts, and the attempts until one is applied."""
