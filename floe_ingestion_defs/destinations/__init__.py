"""Where dlt looks up the destination named `iceberg`."""

from floe_ingestion_defs.destinations.iceberg.factory import iceberg

__all__ = ["iceberg"]
