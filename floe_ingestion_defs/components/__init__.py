"""The components of this distribution, for `dg` and for `defs.yaml` files."""

from floe_ingestion_defs.components.ingestion import IngestionComponent

__all__ = ["IngestionComponent"]
