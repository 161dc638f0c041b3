"""`iceberg`, the factory that dlt finds for `destination="iceberg"`."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dlt.common.destination import Destination, DestinationCapabilitiesContext
from dlt.common.destination.configuration import ParquetFormatConfiguration
from dlt.common.schema.typing import MERGE_STRATEGIES

from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import DEFAULT_CATALOG_NAME
from floe_ingestion_defs.destinations.impl.iceberg.configuration import IcebergClientConfiguration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlt.common.normalizers.naming import NamingConvention
    from dlt.common.schema import Schema

    from floe_ingestion_defs.branch import BranchTables
    from floe_ingestion_defs.destinations.impl.iceberg.audit import Audit
    from floe_ingestion_defs.destinations.impl.iceberg.changes.merge_mode import MergeMode
    from floe_ingestion_defs.destinations.impl.iceberg.client import IcebergClient
    from floe_ingestion_defs.destinations.impl.iceberg.package import AroundPhase
    from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import RewriteExecutor

# A file is a unit of parallel upload, and of what a later merge must rewrite.
RECOMMENDED_FILE_BYTES = 256 * 1024 * 1024


class iceberg(Destination[IcebergClientConfiguration, "IcebergClient"]):  # noqa: N801
    """A destination that loads into Iceberg tables of any pyiceberg catalog, exactly once.

    Loads are atomic.

    Example:
        >>> import dlt
        >>> pipeline = dlt.pipeline("shop", destination="iceberg", dataset_name="bronze")
    """

    spec = IcebergClientConfiguration

    def __init__(
        self,
        catalog_name: str = DEFAULT_CATALOG_NAME,
        catalog_type: str | None = None,
        catalog_uri: str | None = None,
        warehouse: str | None = None,
        catalog_properties: dict[str, Any] | None = None,
        audits: Sequence[Audit] = (),
        around_phase: AroundPhase | None = None,
        replace_min_share: float | None = None,
        merge_mode: MergeMode | None = None,
        rewrite_executor: RewriteExecutor | None = None,
        branch_tables: BranchTables | None = None,
        namespace_properties: dict[str, str] | None = None,
        destination_name: str | None = None,
        environment: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure the destination; omitted options come from pyiceberg's configuration.

        Args:
            catalog_name: The catalog's name in the environment or in `.pyiceberg.yaml`.
            catalog_type: Its type, such as `sql` or `rest`.
            catalog_uri: Its URI.
            warehouse: Where it puts new tables.
            catalog_properties: Further catalog properties.
            audits: Callables that read staged tables and yield findings; one finding fails the
                load.
            around_phase: Returns the context manager that a phase of a load runs in, by its name:
                `stage`, `audit`, `commit` or `publish`; for spans, clocks and the like.
            replace_min_share: Reject the replacement of a table with fewer than this share of its
                rows.
            merge_mode: How merges and overwrites delete rows of data files: `copy-on-write`
                rewrites the files, `merge-on-read` writes position-delete files, and `auto` chooses
                for each file. It becomes the property `write.merge.mode` of the tables that the
                pipeline merges or overwrites; None keeps the property as it is, `auto` for new
                tables. A table's own hint is stronger.
            rewrite_executor: Where the work on the data files of merges runs: `threads` of this
                process, which is the default, or `ray` or `dask`, the cluster that RAY_ADDRESS or
                DASK_SCHEDULER_ADDRESS names.
            branch_tables: The initial tables of a branch deployment: `clone` for production's
                tables without a copy of their data, where the catalog supports it; `empty` for
                none.
            namespace_properties: Properties of the dataset's namespace, such as `location` or
                `owner`, where a load creates it; an existing one is not changed.
            destination_name: dlt's name for this configuration of the destination.
            environment: dlt's environment.
            kwargs: dlt's destination capabilities and further configuration fields.

        Raises:
            TypeError: A keyword is not one of these; dlt's own factories would drop it silently.
        """
        # The plugin's `get_destination_config` includes the name of its destination.
        if (name := kwargs.pop("destination", "iceberg")) != "iceberg":
            msg = f"This is the destination `iceberg`, not `{name}`"
            raise TypeError(msg)
        known = {
            *self.spec.get_resolvable_fields(),
            *DestinationCapabilitiesContext.get_resolvable_fields(),
        }
        if unknown := sorted(kwargs.keys() - known):
            known |= {"catalog_properties", "namespace_properties", "audits", "around_phase"}
            near = get_close_matches(unknown[0], sorted(known), n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            msg = f"destination iceberg has no option `{unknown[0]}`{hint}"
            raise TypeError(msg)
        super().__init__(
            catalog_name=catalog_name,
            catalog_type=catalog_type,
            catalog_uri=catalog_uri,
            warehouse=warehouse,
            replace_min_share=replace_min_share,
            merge_mode=merge_mode,
            rewrite_executor=rewrite_executor,
            branch_tables=branch_tables,
            destination_name=destination_name,
            environment=environment,
            **kwargs,
        )
        # dlt's resolver supports neither callables nor free-form properties.
        if catalog_properties:
            self.config_params["catalog_properties"] = dict(catalog_properties)
        if namespace_properties:
            self.config_params["namespace_properties"] = dict(namespace_properties)
        if audits:
            self.config_params["audits"] = tuple(audits)
        if around_phase is not None:
            self.config_params["around_phase"] = around_phase

    def __repr__(self) -> str:
        return f"iceberg(catalog_name={self.config_params.get('catalog_name', 'floe')!r})"

    @property
    def client_class(self) -> type[IcebergClient]:
        """The job client, imported when the first one is needed."""
        from floe_ingestion_defs.destinations.impl.iceberg.client import IcebergClient

        return IcebergClient

    def capabilities(
        self,
        config: IcebergClientConfiguration | None = None,
        naming: NamingConvention | None = None,
    ) -> DestinationCapabilitiesContext:
        """Return what the destination supports, which does not depend on its configuration.

        dlt asks a dozen times per load, and would resolve the configuration each time.
        """
        return super().capabilities(config or self.spec(), naming)

    def create_ibis_backend(
        self, client: IcebergClient, read_only: bool = False, schemas: Sequence[Schema] = ()
    ) -> Any:
        """Return an ibis backend for the tables of a dataset; dlt ≥ 1.31 calls it.

        The backend is ibis' own for DuckDB. Its tables are read with pyiceberg, each as it is now,
        so that later loads are seen by a new backend only.

        Args:
            client: The client of the dataset, which the backend takes over.
            read_only: Without effect: the tables are views.
            schemas: The schemas whose tables the backend has.
        """
        # dlt has imported ibis before, or reported that it is missing.
        ibis = import_module("ibis")
        sql_client = client.sql_client
        if schemas:
            sql_client.set_schemas(schemas)
        return ibis.duckdb.from_connection(sql_client.detach_connection())

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        caps = DestinationCapabilitiesContext.generic_capabilities("parquet")
        caps.supported_loader_file_formats = ["parquet"]
        caps.recommended_file_size = RECOMMENDED_FILE_BYTES
        # The first one is the default. dlt knows `cdc` since 1.31.
        strategies = ["delete-insert", "upsert", "insert-only", "scd2", "cdc"]
        caps.supported_merge_strategies = [s for s in MERGE_STRATEGIES if s in strategies]
        caps.supported_merge_strategies.sort(key=strategies.index)
        caps.supported_replace_strategies = [
            "truncate-and-insert",
            "insert-from-staging",
            "staging-optimized",
        ]
        # Iceberg has them, but engines such as Spark and DuckDB cannot distinguish two columns that
        # differ in case alone. Names keep their case, as in dlt's DuckDB destination.
        caps.has_case_sensitive_identifiers = False
        caps.decimal_precision = (38, 9)
        caps.wei_precision = (38, 0)
        caps.timestamp_precision = 6
        caps.max_timestamp_precision = 6
        caps.supports_nested_types = True
        caps.enforces_nulls_on_alter = False
        caps.sqlglot_dialect = "duckdb"
        caps.parquet_format = ParquetFormatConfiguration(version="2.6")
        return caps
