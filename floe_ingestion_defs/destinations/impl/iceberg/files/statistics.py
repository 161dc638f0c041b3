"""The statistics of a data file: of which columns they are kept, and reading them from a footer.

As Iceberg Java does by default, statistics are kept of the first 100 columns. Those of others are
added by properties of the table: a merge reads only files whose statistics can contain a key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyiceberg.io.pyarrow import (
    MetricModeTypes,
    MetricsMode,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.table import TableProperties

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow.parquet as pq
    from pyiceberg.schema import Schema

# Iceberg Java's property, which pyiceberg 0.12 does not read, and its default.
MOST_INFERRED = "write.metadata.metrics.max-inferred-column-defaults"
_MOST_INFERRED_DEFAULT = 100
METRICS_OF = f"{TableProperties.METRICS_MODE_COLUMN_CONF_PREFIX}."
_NONE = MetricsMode(MetricModeTypes.NONE)


def read_statistics(
    footer: pq.FileMetaData, schema: Schema, properties: Mapping[str, str]
) -> dict[str, Any]:
    """Return the statistics of a data file as the arguments of pyiceberg's `DataFile`.

    Args:
        footer: The footer of the file.
        schema: The table's schema.
        properties: The table's properties, which decide what is kept of each column.
    """
    plan = compute_statistics_plan(schema, dict(properties))
    if TableProperties.DEFAULT_WRITE_METRICS_MODE not in properties:
        inferred = list(plan)[_most_inferred(properties) :]
        for field_id in inferred:
            if f"{METRICS_OF}{plan[field_id].column_name}" not in properties:
                plan[field_id] = replace(plan[field_id], mode=_NONE)
    return data_file_statistics_from_parquet_metadata(
        parquet_metadata=footer,
        stats_columns=plan,
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    ).to_serialized_dict()


def metrics_of_keys(
    schema: Schema, keys: Iterable[str], properties: Mapping[str, str]
) -> dict[str, str]:
    """Return the properties of a wide table that keep the statistics of its keys.

    Args:
        schema: The table's schema.
        keys: The columns by which merges find rows.
        properties: The table's properties, which are kept.
    """
    if len(schema.fields) <= _most_inferred(properties):
        return {}
    mode = TableProperties.DEFAULT_WRITE_METRICS_MODE_DEFAULT
    wanted = {f"{METRICS_OF}{key}": mode for key in keys}
    return {name: mode for name, mode in wanted.items() if name not in properties}


def _most_inferred(properties: Mapping[str, str]) -> int:
    return int(properties.get(MOST_INFERRED, _MOST_INFERRED_DEFAULT))
