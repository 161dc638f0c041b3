"""Sources of type `filesystem`: CSV, JSONL and Parquet files."""
