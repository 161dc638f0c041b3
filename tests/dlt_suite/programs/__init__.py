"""Random programs that run against `iceberg` and against dlt's `duckdb`, and leave the same."""
