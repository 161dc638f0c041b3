"""The state of the component: which tables the databases had when they were listed."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from floe_ingestion_defs.dlt_plugin import (
    DatabaseTables,
    DltIngestionConfig,
    DltIngestionPlugin,
    IngestionSourceConfig,
    PipelineConfigurationError,
    expand_tables,
    has_patterns,
)

_REFRESH = (
    "run `dg utils refresh-defs-state` in the project's folder where the database can be reached "
    "(for an image, before it is built), and reload the code location"
)


class TableSnapshot(BaseModel):
    """The tables of the databases that sources read.

    Attributes:
        sources: The tables and views of each source's database, by name of the source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: dict[str, DatabaseTables]

    @classmethod
    def take(cls, plugin: DltIngestionPlugin) -> Self:
        """Connect to the database of each source that has patterns, and list its tables."""
        sources = filter(has_patterns, plugin.config.sources)
        return cls(sources={source.name: plugin.list_tables(source) for source in sources})

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Return the snapshot in a file; an empty one if there is no file.

        Raises:
            PipelineConfigurationError: The file is not a snapshot.
        """
        if path is None:
            return cls(sources={})
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError:
            msg = f"the stored list of tables is not valid; {_REFRESH}"
        raise PipelineConfigurationError(msg)

    def expand(self, config: DltIngestionConfig) -> DltIngestionConfig:
        """Return a configuration whose patterns are replaced by the tables that they match.

        Raises:
            PipelineConfigurationError: The database of a source has not been listed, or a pattern
                matches no table.
        """
        given = {name: getattr(config, name) for name in config.model_fields_set}
        sources = [self._expand(source) for source in config.sources]
        return DltIngestionPlugin({**given, "sources": sources}).config

    def _expand(self, source: IngestionSourceConfig) -> IngestionSourceConfig:
        if not has_patterns(source):
            return source
        if source.name not in self.sources:
            msg = (
                f"source {source.name!r}: source_config.table_names has patterns, and the tables "
                f"of its database have not been listed; {_REFRESH}"
            )
            raise PipelineConfigurationError(msg, source_name=source.name)
        return expand_tables(source, self.sources[source.name])
