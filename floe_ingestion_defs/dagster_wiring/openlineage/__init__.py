"""Lineage events in OpenLineage's format, sent for the runs of ingestion assets."""
