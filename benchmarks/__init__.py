"""Compares this project with stock dlt in one run: `python -m benchmarks`."""
