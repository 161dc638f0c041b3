"""The job client: dlt's calls, translated to a load's four steps in `load.py`.

dlt creates a client for each call, so a client keeps no state; what has to persist between calls is
in the load package's own state. The calls that dlt makes before the rows are staged, to migrate
schemas, truncate and drop, change nothing here: the package contains all of it when it is loaded.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dlt
import pyarrow.parquet as pq
from dlt.common.configuration.container import Container
from dlt.common.destination.client import (
    JobClientBase,
    LoadJob,
    RunnableLoadJob,
    StateInfo,
    StorageSchemaInfo,
    SupportsOpenTables,
    WithStateSync,
)
from dlt.common.destination.exceptions import DestinationException, DestinationUndefinedEntity
from dlt.common.exceptions import MissingDependencyException
from dlt.common.schema.exceptions import SchemaException
from dlt.common.storages.load_package import (
    LoadPackageStateInjectableContext,
    ParsedLoadJobFileName,
    create_load_id,
    destination_state,
)
from dlt.destinations.sql_client import WithSqlClient

from floe_ingestion_defs.branch import current_branch
from floe_ingestion_defs.destinations.impl.iceberg.admission.hints import verify_hints
from floe_ingestion_defs.destinations.impl.iceberg.audit import ReplaceGuard
from floe_ingestion_defs.destinations.impl.iceberg.branch.clone import set_up_branch
from floe_ingestion_defs.destinations.impl.iceberg.catalog.confinement import require_own
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import (
    open_destination_catalog,
)
from floe_ingestion_defs.destinations.impl.iceberg.commits.read_tables import (
    declared_reads,
    read_for_load,
)
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    FailedJobs,
    LoadRefused,
)
from floe_ingestion_defs.destinations.impl.iceberg.load import run_load
from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import newest_document
from floe_ingestion_defs.destinations.impl.iceberg.log.recent import (
    Opened,
    forget_opened,
    recently_opened,
)
from floe_ingestion_defs.destinations.impl.iceberg.package import Package
from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import require_executor
from floe_ingestion_defs.destinations.impl.iceberg.reading.schemas import stored_version
from floe_ingestion_defs.destinations.impl.iceberg.recover import open_dataset
from floe_ingestion_defs.destinations.impl.iceberg.window import declared_windows
from floe_ingestion_defs.destinations.impl.iceberg.working_directory import (
    extracted_state,
    lacks_schemas,
    reject,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from types import TracebackType

    from dlt.common.destination.typing import PreparedTableSchema
    from dlt.common.schema.typing import TSchemaTables, TTableSchema
    from dlt.common.storages import PackageStorage
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.configuration import (
        IcebergClientConfiguration,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView
    from floe_ingestion_defs.destinations.impl.iceberg.reading.sql_client import IcebergSqlClient


class CheckParquetFile(RunnableLoadJob):
    """A job that verifies that a file of the package can be read.

    With a job that is finished before it runs, dlt 1.31's loader would sleep for a second.
    """

    def run(self) -> None:
        """Read the file's footer.

        Raises:
            pyarrow.ArrowInvalid: The file is not a Parquet file, or is truncated.
        """
        pq.read_metadata(self._file_path)


def _uid(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


class IcebergClient(JobClientBase, WithStateSync, WithSqlClient, SupportsOpenTables):
    """A client that loads one schema's packages into one dataset."""

    config: IcebergClientConfiguration

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset that the client loads into; opens the catalog, and sets up a branch.

        Raises:
            DatasetRefused: This is a branch deployment, and the dataset is not its own.
        """
        config = self.config
        name = config.normalize_dataset_name(self.schema)
        require_own(name)
        catalog = open_destination_catalog(
            config.catalog_name,
            config.catalog_type,
            config.catalog_uri,
            config.warehouse,
            config.catalog_properties,
        )
        require_executor(config.rewrite_executor)
        dataset = Dataset(catalog, name, config.namespace_properties or {}, config.rewrite_executor)
        if branch := current_branch():
            set_up_branch(dataset, branch, config.branch_tables)
        return dataset

    @cached_property
    def sql_client(self) -> IcebergSqlClient:  # type: ignore[override]
        """A client that reads the dataset with SQL; requires DuckDB.

        Raises:
            MissingDependencyException: DuckDB is not installed.
        """
        return self.sql_client_class(self)

    @property
    def sql_client_class(self) -> type[IcebergSqlClient]:  # type: ignore[override]
        """The SQL client, imported at the first read."""
        try:
            from floe_ingestion_defs.destinations.impl.iceberg.reading.sql_client import (
                IcebergSqlClient,
            )
        except ModuleNotFoundError as missing:
            if missing.name != "duckdb":
                raise
            msg = "reading a dataset of the iceberg destination"
            raise MissingDependencyException(msg, ["floe-ingestion-defs[duckdb]"]) from missing
        return IcebergSqlClient

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Do nothing: tables are created, and emptied, when the load is published."""

    def is_storage_initialized(self) -> bool:
        """Return whether anything was ever loaded into the dataset."""
        return self.dataset.log.read() is not None

    def drop_storage(self) -> None:
        """Drop all tables of the dataset, its log last."""
        forget_opened(self.dataset.log.key)
        namespace, catalog = self.dataset.namespace, self.dataset.catalog
        if not catalog.namespace_exists(namespace):
            return
        tables = catalog.list_tables(namespace)
        for identifier in sorted(tables, key=lambda i: i == self.dataset.log.identifier):
            catalog.drop_table(identifier)
        catalog.drop_namespace(namespace)

    def drop_tables(self, *tables: str, delete_schema: bool = True) -> None:
        """Do nothing: the package names the tables to drop, and publishing it drops them."""

    def update_stored_schema(
        self,
        only_tables: Iterable[str] | None = None,
        expected_update: TSchemaTables | None = None,
        force: bool = False,
        **_: Any,
    ) -> TSchemaTables | None:
        """Verify the schema; tables evolve when the load is published.

        Without a load, as dlt's `pipeline.sync_schema()` calls it, store the schema.
        """
        update = super().update_stored_schema(
            cast("Iterable[str]", only_tables), cast("TSchemaTables", expected_update)
        )
        if LoadPackageStateInjectableContext not in Container():
            self._store_schema()
        return update

    def _store_schema(self) -> None:
        """Commit a load without rows, of which the log and `_dlt_version` have the schema."""
        version = self.schema.stored_version_hash
        if self.dataset.log.read_or_create().knows_schema(version):
            return
        pipeline = dlt.current.pipeline().pipeline_name
        package = Package(
            load_id=create_load_id(),
            load_uid=_uid(pipeline, "schema", self.schema.name, version),
            pipeline_name=pipeline,
            created_at=datetime.now(UTC),
            schema=self.schema,
            capabilities=self.capabilities,
            prepare_table=self._prepare_table,
            jobs={},
        )
        run_load(self.dataset, package)

    def verify_schema(
        self,
        only_tables: Iterable[str] | None = None,
        new_jobs: Iterable[ParsedLoadJobFileName] | None = None,
    ) -> list[PreparedTableSchema]:
        """Verify a load's tables and hints as dlt's SQL destinations do, before anything is staged.

        Raises:
            LoadPackageAborted: A table or hint is not valid; carries dlt's error.
        """
        try:
            tables = super().verify_schema(
                cast("Iterable[str]", only_tables),
                cast("Iterable[ParsedLoadJobFileName]", new_jobs),
            )
            verify_hints(self.schema, tables, self.capabilities, self.config.replace_strategy)
        except (SchemaException, DestinationException) as invalid:
            if LoadPackageStateInjectableContext not in Container():
                raise
            package = Container()[LoadPackageStateInjectableContext]
            reject(package.storage, package.load_id, invalid)
        return tables

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """Return a job that checks its file; `complete_load` stages a package's files together."""
        return CheckParquetFile(file_path)

    def complete_load(self, load_id: str) -> None:
        """Stage, audit, commit and publish the package.

        Raises:
            FailedJobs: The package has failed jobs.
            LoadPackageAborted: The load was rejected; its cause is the error with the reason.
        """
        packages = Container()[LoadPackageStateInjectableContext].storage
        if failed := packages.list_failed_jobs(load_id):
            names = ", ".join(Path(job).name for job in failed)
            msg = (
                f"Load {load_id} has failed jobs ({names}); committing the others would lose their "
                "rows. Fix the cause and run the pipeline again."
            )
            raise FailedJobs(msg)
        try:
            self._run_load(packages, load_id)
        except LoadRefused as rejected:
            reject(packages, load_id, rejected)

    def _run_load(self, packages: PackageStorage, load_id: str) -> None:
        audits = list(self.config.audits)
        if self.config.replace_min_share is not None:
            audits.append(ReplaceGuard(self.config.replace_min_share))
        package = self._package(packages, load_id)
        run_load(self.dataset, package, audits, self.config.around_phase)

    def _package(self, packages: PackageStorage, load_id: str) -> Package:
        state = packages.get_load_package_state(load_id)
        jobs: dict[str, list[Path]] = {}
        folder = packages.get_job_state_folder_path(load_id, "completed_jobs")
        identity = [load_id, self.schema.name]
        for job in sorted(packages.storage.list_folder_files(folder)):
            parsed = ParsedLoadJobFileName.parse(job)
            identity += [parsed.table_name, parsed.file_id]
            path = Path(packages.storage.make_full_path(job))
            jobs.setdefault(parsed.table_name, []).append(path)
        extracted = extracted_state(packages, load_id)
        pipeline = (
            extracted.document["pipeline_name"]
            if extracted
            else dlt.current.pipeline().pipeline_name
        )
        # dlt gives each file of a package a random id when it extracts or normalizes it, so copies
        # of a package, as a pod and its successor may have, are the same load.
        return Package(
            load_id=load_id,
            load_uid=_uid(pipeline, *identity),
            pipeline_name=pipeline,
            created_at=state["created_at"],
            schema=self.schema,
            capabilities=self.capabilities,
            prepare_table=self._prepare_table,
            jobs=jobs,
            truncated={str(table["name"]) for table in state.get("truncated_tables", ())},
            dropped={str(table["name"]) for table in state.get("dropped_tables", ())},
            windows=declared_windows(destination_state()),
            read_tables=declared_reads(destination_state()),
            state=extracted,
            merge_mode=self.config.merge_mode,
        )

    def _prepare_table(self, name: str) -> TTableSchema:
        return cast("TTableSchema", self.prepare_load_table(name))

    def get_stored_state(self, pipeline_name: str) -> StateInfo | None:
        """Return the newest committed state of the pipeline; opens, and so recovers, the dataset.

        Raises:
            DestinationUndefinedEntity: Nothing was ever loaded into the dataset.
        """
        version_table = self.schema.version_table_name
        opened = Opened(self.dataset, version_table, lacks_schemas=lacks_schemas())
        view = self._open(pipeline_name, opened.read_schemas_beside)
        opened.keep(view)
        document = newest_document(self.dataset, view, pipeline_name)
        return None if document is None else StateInfo(**cast("dict[str, Any]", document))

    def get_stored_schema(self, schema_name: str | None = None) -> StorageSchemaInfo | None:
        """Return the newest schema of that name, or of any; None if there is none."""
        try:
            opened = recently_opened(self.dataset, self.schema.version_table_name)
            view = opened.view() or self._open()
        except DestinationUndefinedEntity:
            return None
        version_hash = view.newest_schema_hash(schema_name)
        return None if version_hash is None else self.get_stored_schema_by_hash(version_hash)

    def get_stored_schema_by_hash(self, version_hash: str) -> StorageSchemaInfo | None:  # type: ignore[override]
        """Return the schema with that version hash, None if no load had it."""
        column = self.schema.naming.normalize_identifier("version_hash")
        row = stored_version(self.dataset, self.schema.version_table_name, column, version_hash)
        if row is None:
            return None
        return StorageSchemaInfo.from_normalized_mapping(row, self.schema.naming)

    def get_open_table_catalog(self, table_format: str, catalog_name: str | None = None) -> Catalog:
        """Return the catalog that the dataset's tables are in."""
        return self.dataset.catalog

    def get_open_table_location(self, table_format: str, table_name: str) -> str:
        """Return the location of a table.

        Raises:
            DestinationUndefinedEntity: The table does not exist.
        """
        return self.load_open_table(table_format, table_name).location()

    def load_open_table(self, table_format: str, table_name: str, **_: Any) -> Table:
        """Load a table with pyiceberg.

        Raises:
            DestinationUndefinedEntity: The table does not exist.
        """
        table = self.dataset.load_table(table_name)
        if table is None:
            raise DestinationUndefinedEntity(self.dataset.qualified(table_name))
        return table

    def absent_tables(self, tables: Collection[str]) -> list[str]:
        """Return which of the tables do not exist, with one request where all do."""
        return self.dataset.absent(tables)

    def read_for_load(self, names: Iterable[str]) -> dict[str, Table]:
        """Return tables whose rows the package that is being extracted depends on, by name.

        The load ends with a `StateConflict` if another one changes these tables before its commit.
        """
        return read_for_load(self.dataset, names)

    def is_open_table(self, table_format: str, table_name: str) -> bool:
        """Return whether tables have that format: all are Iceberg tables."""
        return table_format == "iceberg"

    def _open(
        self, pipeline_name: str | None = None, beside: Callable[[Table], None] | None = None
    ) -> LogView:
        view = open_dataset(self.dataset, pipeline_name, beside)
        if view is None:
            msg = f"dataset {self.dataset.name}"
            raise DestinationUndefinedEntity(msg)
        return view

    def __enter__(self) -> IcebergClient:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass
