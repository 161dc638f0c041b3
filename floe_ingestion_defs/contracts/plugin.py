"""What an ingestion plugin does: make a pipeline from a configuration, and run it.

The shapes here are what platform and plugins agree on. They know no loading tool: what a pipeline
is, only the plugin knows.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from floe_ingestion_defs.contracts.metadata import PluginMetadata


@dataclass
class IngestionConfig:
    """One source and where its data go.

    Attributes:
        source_type: The kind of source, one of those that the plugin knows.
        source_config: What that kind of source needs, and whatever has no field of its own here
            (`primary_key`, `cursor_field`, …). It may hold credentials, so `repr` leaves it out.
        destination_table: `namespace.table`.
        write_mode: `append`, `replace` or `merge`.
        schema_contract: What happens to data that do not fit the table: `evolve`, `freeze`, or one
            of the plugin's own modes.
    """

    source_type: str
    source_config: dict[str, Any] = field(default_factory=dict, repr=False)
    destination_table: str = ""
    write_mode: str = "append"
    schema_contract: str = "evolve"


@dataclass
class IngestionResult:
    """What a run did.

    Attributes:
        success: Whether everything that the run should load is in its tables.
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
        """Whether a service outside of this process does the loading."""

    @abstractmethod
    def create_pipeline(self, config: IngestionConfig) -> Any:
        """Make a pipeline together with its source, so that `run` needs nothing more.

        Raises an error of the plugin's own, or pydantic's `ValidationError`, for a configuration
        that is wrong.
        """

    @abstractmethod
    def run(self, pipeline: Any, **kwargs: Any) -> IngestionResult:
        """Load what the pipeline's source has to give.

        A load that fails does not raise: it ends in a result with `success=False` and its errors.
        """

    @abstractmethod
    def get_destination_config(self, catalog_config: dict[str, Any]) -> dict[str, Any]:
        """Return what the plugin's destination needs to open the catalog.

        Args:
            catalog_config: Catalog properties that override what the environment gives.
        """
