"""Reading tables: by SQL for `pipeline.dataset()`, and from metadata for checks and reports."""
