"""The `orchestration` settings of a source."""
