"""The ingestion plugin: it creates a pipeline from a configuration, and runs it.

These types are shared by the platform and its plugins and independent of the loading tool: only the
plugin knows what a pipeline is.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from floe_ingestion_defs.contracts.metadata import PluginMetadata


@dataclass
class IngestionConfig:
    """One source and the destination of its data.

    Attributes:
        source_type: The type of the source, one of those that the plugin supports.
        source_config: What that type of source requires, and settings without a field of their own
            here (`primary_key`, `cursor_field`, …). It may hold credentials, so `repr` omits it.
        destination_table: `namespace.table`.
        write_mode: `append`, `replace` or `merge`.
        schema_contract: How data that do not fit the table are handled: `evolve`, `freeze`, or one
            of the plugin's own modes.
    """

    source_type: str
    source_config: dict[str, Any] = field(default_factory=dict, repr=False)
    destination_table: str = ""
    write_mode: str = "append"
    schema_contract: str = "evolve"


@dataclass
class IngestionResult:
    """The result of a run.

    Attributes:
        success: Whether everything that the run was to load is in its tables.
        rows_loaded: Rows that this run loaded.
        bytes_written: Bytes of data files that this run wrote.
        duration_seconds: Wall-clock time of the run.
        errors: What went wrong, each as `CATEGORY ErrorType: message`; empty on success.
    """

    success: bool
    rows_loaded: int = 0
    bytes_written: int = 0
    duration_seconds: float = 0.0
    errors: list[str] = field(default_factory=list)


class IngestionPlugin(PluginMetadata):
    """A plugin that loads data from a source into the tables of the platform's catalog.

    Example:
        >>> plugin = PluginRegistry().get(PluginType.INGESTION, "dlt")
        >>> plugin.startup()
        >>> pipeline = plugin.create_pipeline(
        ...     IngestionConfig(
        ...         source_type="filesystem",
        ...         source_config={"bucket_url": "landing", "file_glob": "*.csv"},
        ...         destination_table="bronze.flights",
        ...     )
        ... )
        >>> plugin.run(pipeline).rows_loaded
        336776
    """

    @property
    @abstractmethod
    def is_external(self) -> bool:
        """Whether a service outside of this process performs the load."""

    @abstractmethod
    def create_pipeline(self, config: IngestionConfig) -> Any:
        """Create a pipeline together with its source, so that `run` needs nothing more.

        Raises an error of the plugin's own, or pydantic's `ValidationError`, for an invalid
        configuration.
        """

    @abstractmethod
    def run(self, pipeline: Any, **kwargs: Any) -> IngestionResult:
        """Load the data of the pipeline's source.

        A load that fails does not raise: it returns a result with `success=False` and its errors.
        """

    @abstractmethod
    def get_destination_config(self, catalog_config: dict[str, Any]) -> dict[str, Any]:
        """Return what the plugin's destination needs to open the catalog.

        Args:
            catalog_config: Catalog properties that override what the environment gives.
        """
