"""Whole stacks: Dagster, dlt and Iceberg, with real catalogs and stores."""
