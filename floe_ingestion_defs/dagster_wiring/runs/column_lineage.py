"""Derives the lineage of a table's columns: from the columns of its external asset upstream."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from floe_ingestion_defs.dlt_plugin.results import ColumnSources

COLUMN_LINEAGE = "dagster/column_lineage"
_DLT_PREFIX = "_dlt_"


@dataclass(frozen=True)
class LineageSource:
    """Where the lineage of the columns of an asset is derived from.

    Attributes:
        key: The asset.
        upstream: The external asset that it is loaded from.
        instance: Dagster's instance, which has the lineage of the last load.
    """

    key: dg.AssetKey
    upstream: dg.AssetKey
    instance: dg.DagsterInstance

    def of_columns(self, columns: Sequence[str], sources: ColumnSources) -> dg.TableColumnLineage:
        """Return the lineage of the columns of a table after a load.

        dlt's own columns are from no column of the source. A column without values in the load,
        such as all columns of a load with nothing new, keeps the lineage of the last load.

        Args:
            columns: The table's columns.
            sources: The source's columns behind them, as far as the load extracted them.
        """
        known = {**sources.without_values, **self._last_lineage(), **sources.with_values}
        return dg.TableColumnLineage(
            {
                name: [dg.TableColumnDep(self.upstream, source) for source in known.get(name, ())]
                for name in columns
                if name in known or name.startswith(_DLT_PREFIX)
            }
        )

    def _last_lineage(self) -> dict[str, tuple[str, ...]]:
        event = self.instance.get_latest_materialization_event(self.key)
        materialization = None if event is None else event.asset_materialization
        found = None if materialization is None else materialization.metadata.get(COLUMN_LINEAGE)
        if not isinstance(found, dg.TableColumnLineageMetadataValue):
            return {}
        return {
            name: tuple(dep.column_name for dep in deps)
            for name, deps in found.column_lineage.deps_by_column.items()
        }
