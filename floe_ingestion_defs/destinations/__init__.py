"""Where dlt looks up the destination named `iceberg`, and what goes with it."""

from floe_ingestion_defs.destinations.iceberg.factory import iceberg
from floe_ingestion_defs.destinations.iceberg.window import iceberg_window

__all__ = ["iceberg", "iceberg_window"]
