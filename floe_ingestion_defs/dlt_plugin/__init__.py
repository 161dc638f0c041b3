"""The dlt ingestion plugin: loads configured sources into Iceberg tables, without Dagster.

Importing it imports neither dlt nor a driver; each method imports what it needs.
"""

from floe_ingestion_defs.dlt_plugin.config.columns import ColumnConfig
from floe_ingestion_defs.dlt_plugin.config.models import (
    DltIngestionConfig,
    IngestionSourceConfig,
    ResourceConfig,
    RetryConfig,
)
from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
from floe_ingestion_defs.dlt_plugin.config.table_patterns import (
    DatabaseTables,
    expand_tables,
    has_patterns,
)
from floe_ingestion_defs.dlt_plugin.errors.categories import categorize_error
from floe_ingestion_defs.dlt_plugin.errors.exceptions import (
    DestinationWriteError,
    ErrorCategory,
    IngestionError,
    PipelineConfigurationError,
    ResourceLoadsFailed,
    SchemaContractViolation,
    SourceConnectionError,
    SourceReadError,
)
from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest
from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline
from floe_ingestion_defs.dlt_plugin.plugin import DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.results import LoadResult, ResourceResult

__all__ = [
    "ColumnConfig",
    "DatabaseTables",
    "DestinationWriteError",
    "DltIngestionConfig",
    "DltIngestionPlugin",
    "ErrorCategory",
    "IngestionError",
    "IngestionPipeline",
    "IngestionSourceConfig",
    "LoadRequest",
    "LoadResult",
    "PipelineConfigurationError",
    "ResourceConfig",
    "ResourceLoadsFailed",
    "ResourceResult",
    "ResourceSpec",
    "RetryConfig",
    "SchemaContractViolation",
    "SourceConnectionError",
    "SourceReadError",
    "categorize_error",
    "expand_tables",
    "has_patterns",
]
