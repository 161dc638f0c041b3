"""Errors of an ingestion, named for the user who has to act on them.

Every error names its source, source type, table and pipeline. `categorize_error` in `categories`
decides what to do about it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_ingestion_defs.dlt_plugin.results import LoadResult


class ErrorCategory(StrEnum):
    """What to do about an error."""

    TRANSIENT = "TRANSIENT"
    """The same load can succeed later: retry it."""
    PERMANENT = "PERMANENT"
    """The load fails until the data, the permissions or the source system change."""
    PARTIAL = "PARTIAL"
    """Some resources of an isolated source were loaded, others were not."""
    CONFIGURATION = "CONFIGURATION"
    """The load fails until the configuration or the installation changes."""


class IngestionError(Exception):
    """Base class of the errors of an ingestion.

    Args:
        message: What happened, without secrets.
        source_name: Name of the configured source.
        source_type: Type of the source, such as `rest_api`.
        destination_table: `namespace.table` that was to be loaded.
        pipeline_name: Name of dlt's pipeline, under which the state is stored.
    """

    def __init__(
        self,
        message: str,
        *,
        source_name: str = "",
        source_type: str = "",
        destination_table: str = "",
        pipeline_name: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.source_name = source_name
        self.source_type = source_type
        self.destination_table = destination_table
        self.pipeline_name = pipeline_name
        self.category: ErrorCategory | None = None
        """Category that was determined when the error occurred, if any."""

    def __str__(self) -> str:
        about = {
            "source": self.source_name,
            "type": self.source_type,
            "table": self.destination_table,
            "pipeline": self.pipeline_name,
        }
        known = ", ".join(f"{key} {value}" for key, value in about.items() if value)
        return f"{self.message} [{known}]" if known else self.message


class SourceConnectionError(IngestionError):
    """The source could not be reached, or the connection broke while it was read."""


class SourceReadError(IngestionError):
    """The source was reached, but its data could not be read."""


class ResourceLoadsFailed(IngestionError):
    """Resources of an isolated source were not loaded; PARTIAL where others were.

    Args:
        message: What happened.
        failed: Error of each failed resource, by name.
        result: Result of the resources that were loaded, whose rows are visible.
        **about: Source, table and pipeline, as in `IngestionError`.
    """

    def __init__(
        self,
        message: str,
        *,
        failed: Mapping[str, IngestionError],
        result: LoadResult,
        **about: str,
    ) -> None:
        super().__init__(message, **about)
        self.failed = dict(failed)
        self.result = result


class DestinationWriteError(IngestionError):
    """The rows could not be written or committed to Iceberg."""


class PipelineConfigurationError(IngestionError, ValueError):
    """The configuration, or the installation, does not allow the load."""


class SchemaContractViolation(IngestionError):
    """The source's data does not match the schema contract; nothing was loaded.

    Args:
        message: What happened.
        table: Table whose contract is violated.
        column: Column that does not match; empty if the table itself is new.
        expected: Type that the contract requires, if any.
        found: Type of the data.
        value: The first value that does not match, truncated; only if `show_values` allows it.
        source_name: Name of the configured source.
        source_type: Type of the source.
        destination_table: `namespace.table` that was to be loaded.
        pipeline_name: Name of dlt's pipeline.
    """

    def __init__(
        self,
        message: str,
        *,
        table: str = "",
        column: str = "",
        expected: str | None = None,
        found: str | None = None,
        value: str | None = None,
        source_name: str = "",
        source_type: str = "",
        destination_table: str = "",
        pipeline_name: str = "",
    ) -> None:
        super().__init__(
            message,
            source_name=source_name,
            source_type=source_type,
            destination_table=destination_table,
            pipeline_name=pipeline_name,
        )
        self.table = table
        self.column = column
        self.expected = expected
        self.found = found
        self.value = value
