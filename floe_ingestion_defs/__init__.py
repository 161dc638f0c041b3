"""A Dagster code location that loads data into Apache Iceberg with dlt.

Imports nothing: dlt loads this package at its own start to find the destination `iceberg`
below `destinations`, and each layer must be importable without those above it.
"""
