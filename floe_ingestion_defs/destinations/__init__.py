"""Where dlt looks up the destination named `iceberg`, and what goes with it."""

from floe_ingestion_defs.branch import branch_namespace
from floe_ingestion_defs.destinations.iceberg.factory import iceberg
from floe_ingestion_defs.destinations.iceberg.window import iceberg_window

__all__ = ["branch_namespace", "iceberg", "iceberg_window"]
