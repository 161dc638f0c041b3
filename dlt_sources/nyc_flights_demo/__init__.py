"""The worked example's demo: `make demo`, `make dev`, and the source systems that they simulate.

Separate from the source `dlt_sources.nyc_flights`, which imports dlt: the demo configures dlt's and
Dagster's environment before either is imported.
"""
