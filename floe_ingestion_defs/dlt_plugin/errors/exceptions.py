"""What can go wrong with an ingestion, in the words of the person who has to act on it.

Every error says which source it is about, of which type, for which table and in which pipeline,
and what to do about it is decided by `categorize_error` in `categories`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_ingestion_defs.dlt_plugin.results import LoadResult


class ErrorCategory(StrEnum):
    """What is to be done about an error."""

    TRANSIENT = "TRANSIENT"
    """The same load can succeed later: try again."""
    PERMANENT = "PERMANENT"
    """It fails again until data, permissions or the other side change."""
    PARTIAL = "PARTIAL"
    """Some resources of an isolated source were loaded, others were not."""
    CONFIGURATION = "CONFIGURATION"
    """It fails again until the configuration or the installation changes."""


class IngestionError(Exception):
    """An ingestion that failed.

    Args:
        message: What happened; holds no secret.
        source_name: Name of the configured source.
        source_type: Kind of source, such as `rest_api`.
        destination_table: `namespace.table` that was to be loaded.
        pipeline_name: Name of dlt's pipeline, under which the state is kept.
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
        """What was found out about the error when it happened, if anything was."""

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
    """The source could not be reached, or broke off while it was read."""


class SourceReadError(IngestionError):
    """The source was reached, but what it gave could not be read."""


class ResourceLoadsFailed(IngestionError):
    """Resources of an isolated source were not loaded; PARTIAL where others were.

    Args:
        message: What happened.
        failed: What kept each resource from being loaded, by its name.
        result: What was loaded all the same, and is visible.
        **about: Source, table and pipeline, as every `IngestionError` takes them.
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
    """The source's data do not fit the schema that was agreed; nothing was loaded.

    Args:
        message: What happened.
        table: Table whose contract is violated.
        column: Column that does not fit; empty where the table itself is new.
        expected: Type that the contract names, where it names one.
        found: Type that came.
        value: The first value that does not fit, shortened; only where `show_values` allows it.
        source_name: Name of the configured source.
        source_type: Kind of source.
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
