"""This project measured beside stock dlt, in one run: `python -m benchmarks`."""
