"""What happens in one run of a source, and what Dagster shows of it."""
