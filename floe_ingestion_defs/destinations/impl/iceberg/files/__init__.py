"""Parquet data files: their schema, layout, location and statistics."""
