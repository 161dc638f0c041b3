"""Maintenance of a dataset: a job with one op per table, and its schedule.

Its runs have a lower priority than loads and a pool of their own, and a load never waits for them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from floe_ingestion_defs.dagster_wiring.automation.default_status import schedule_status
from floe_ingestion_defs.dagster_wiring.configured_source import CAUSE_TAG, ConfiguredSource
from floe_ingestion_defs.dagster_wiring.runs.failures import REMEDIES
from floe_ingestion_defs.dagster_wiring.settings.maintenance import (
    MaintenanceSettings,
    ResourceMaintenanceSettings,
)
from floe_ingestion_defs.dagster_wiring.translator import asset_key
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, categorize_error
from floe_ingestion_defs.dlt_plugin.config.destination import (
    environment_of,
    open_configured_catalog,
)
from floe_ingestion_defs.dlt_plugin.config.names import find_name
from floe_ingestion_defs.dlt_plugin.errors.categories import error_chain
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError
from floe_ingestion_defs.dlt_plugin.errors.redaction import redactor_for

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations import CompactionResult, Dataset

POOL = "ingestion_maintenance"
_PRIORITY = "-10"


@dataclass(frozen=True)
class MaintainedDataset:
    """A dataset whose tables are maintained.

    Attributes:
        name: dlt's dataset name.
        plugin: The plugin, whose configuration defines the catalog.
        settings: What is done, and when.
        assets: The assets of its tables, by `namespace.table`.
        tables: What is different for some of its tables, by `namespace.table`.
    """

    name: str
    plugin: DltIngestionPlugin
    settings: MaintenanceSettings
    assets: Mapping[str, dg.AssetKey]
    tables: Mapping[str, ResourceMaintenanceSettings]

    @property
    def identifier(self) -> str:
        """The dataset's name in a form that can be part of a name."""
        return self.name.replace(".", "__")

    def open(self) -> "Dataset":
        """Return the dataset."""
        from floe_ingestion_defs.destinations import Dataset

        configured = self.plugin.config
        catalog = open_configured_catalog(
            self.plugin.get_destination_config(configured.catalog_config)
        )
        return Dataset(catalog, self.name, rewrite_executor=configured.rewrite_executor)

    def failure(
        self, what: str, error: Exception, done: Mapping[str, Any] | None = None
    ) -> dg.Failure:
        """Return an error as the failure that Dagster shows, without secrets.

        Args:
            what: The dataset or table.
            error: The error.
            done: The metadata of what succeeded.
        """
        config = self.plugin.config.catalog_config
        explained = next((each for each in error_chain(error) if str(each)), error)
        reason = redactor_for(dict(config), environment_of(config)).clean(
            f"{type(explained).__name__}: {explained}"
        )
        category = categorize_error(error)
        shown = f"{category.value}: {what}\n{reason}\n{REMEDIES[category]}"
        metadata = {"category": category.value, **(done or {})}
        return dg.Failure(shown, metadata=metadata, allow_retries=False)


def create_maintenance_definitions(sources: Sequence[ConfiguredSource]) -> dg.Definitions:
    """Create a job and a schedule for each dataset that a source has `maintenance` for.

    Args:
        sources: The sources of the code location.

    Raises:
        PipelineConfigurationError: Two sources want the same dataset maintained differently, or a
            table is to be maintained whose dataset is not.
    """
    jobs, schedules = [], []
    for name, found in _by_dataset(sources).items():
        dataset = _maintained(name, found)
        if dataset is not None:
            jobs.append(_create_job(dataset))
            schedules.append(_create_schedule(dataset, jobs[-1]))
    return dg.Definitions(jobs=jobs, schedules=schedules)


def _by_dataset(
    sources: Sequence[ConfiguredSource],
) -> dict[str, list[ConfiguredSource]]:
    found: dict[str, list[ConfiguredSource]] = defaultdict(list)
    for source in sources:
        for name in sorted({spec.namespace for spec in source.resources.values()}):
            found[name].append(source)
    return found


def _maintained(name: str, sources: Sequence[ConfiguredSource]) -> MaintainedDataset | None:
    wanted = [source for source in sources if source.settings.maintenance is not None]
    tables = _tables_of(name, sources)
    if not wanted:
        if tables:
            msg = (
                f"the maintenance of {', '.join(sorted(tables))} is configured, but not that of "
                f"dataset {name!r}; add `maintenance: {{}}` to the `orchestration` of its source"
            )
            raise PipelineConfigurationError(msg)
        return None
    first = wanted[0]
    for other in wanted[1:]:
        if other.settings.maintenance != first.settings.maintenance:
            msg = (
                f"sources {first.name!r} and {other.name!r} load into dataset {name!r} and have "
                "different `maintenance`; give both the same, or leave it out of one"
            )
            raise PipelineConfigurationError(msg)
    assets = {
        spec.table: asset_key(source.name, spec.name)
        for source in sources
        for spec in source.resources.values()
    }
    settings = first.settings.maintenance or MaintenanceSettings()
    return MaintainedDataset(name, first.plugin, settings, assets, tables)


def _tables_of(
    dataset: str, sources: Sequence[ConfiguredSource]
) -> dict[str, ResourceMaintenanceSettings]:
    return {
        spec.table: resource.maintenance
        for source in sources
        for spec in source.resources.values()
        if spec.namespace == dataset
        and (resource := source.settings.resources.get(spec.name)) is not None
        and resource.maintenance is not None
    }


def _create_job(dataset: MaintainedDataset) -> dg.JobDefinition:
    @dg.op(
        name=f"list_tables__{dataset.identifier}",
        out=dg.DynamicOut(str),
        description="List the tables to maintain.",
    )
    def list_tables() -> Iterator[dg.DynamicOutput[str]]:
        try:
            opened = dataset.open()
            listed = sorted(name for *_, name in opened.catalog.list_tables(opened.namespace))
        except Exception as error:
            # A boundary: catalogs raise any exception of their drivers.
            raise dataset.failure(dataset.name, error) from None
        for number, name in enumerate(listed):
            if not name.lstrip("_").startswith("dlt_"):
                key = name if name.isascii() and name.isidentifier() else f"table_{number}"
                yield dg.DynamicOutput(name, mapping_key=key)

    @dg.op(
        name=f"compact__{dataset.identifier}",
        pool=POOL,
        description="Combine the small data files of a table and expire its old snapshots; a load "
        "never waits for it.",
    )
    def compact_table(context: dg.OpExecutionContext, table: str) -> None:
        _maintain(context, dataset, table)

    @dg.op(
        name=f"remove_orphans__{dataset.identifier}",
        pool=POOL,
        description="Delete files that nothing refers to, such as those that earlier runs expired.",
    )
    def remove_orphans(context: dg.OpExecutionContext) -> None:
        if dataset.settings.orphans is not None:
            _remove_orphans(context, dataset)

    @dg.job(
        name=f"maintenance__{dataset.identifier}",
        description=f"Maintain the tables of dataset `{dataset.name}`.",
        tags={"dagster/priority": _PRIORITY, CAUSE_TAG: "maintenance"},
    )
    def maintain() -> None:
        list_tables().map(compact_table)
        # It waits for no table: Dagster would leave it out each time that one of them fails.
        remove_orphans()

    return maintain


def _maintain(context: dg.OpExecutionContext, dataset: MaintainedDataset, table: str) -> None:
    """Compact a table and expire its snapshots, whose files the op of orphans deletes."""
    name = f"{dataset.name}.{table}"
    settings = dataset.settings.for_table(dataset.tables.get(name))
    metadata: dict[str, Any] = {}
    errors = []
    for task in (_compact, _expire):
        try:
            metadata |= task(dataset.open(), table, settings)
        except Exception as error:
            # A boundary: catalogs and stores raise any exception of their drivers.
            errors.append(error)
    if errors:
        raise dataset.failure(name, errors[0], metadata) from None
    context.add_output_metadata(metadata)
    if metadata and name in dataset.assets:
        context.log_event(dg.AssetObservation(dataset.assets[name], metadata=metadata))


def _compact(
    dataset: "Dataset", table: str, settings: ResourceMaintenanceSettings
) -> dict[str, Any]:
    from floe_ingestion_defs.destinations import CompactionOptions, compact

    if not settings.compact:
        return {}
    z_order = _in_table(dataset, table, settings.z_order)
    return _describe(compact(dataset, table, CompactionOptions(z_order=z_order)))


def _expire(
    dataset: "Dataset", table: str, settings: ResourceMaintenanceSettings
) -> dict[str, Any]:
    from floe_ingestion_defs.destinations import ExpiryOptions, expire

    if settings.expire is None:
        return {}
    expired = expire(dataset, table, ExpiryOptions(settings.expire))
    metadata: dict[str, Any] = {
        "snapshots_before": expired.snapshots_before,
        "snapshots_expired": expired.snapshots_expired,
    }
    if expired.obstacle:
        metadata["not_expired"] = expired.obstacle
    return metadata


def _in_table(dataset: "Dataset", table: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return columns, which may have the spelling of the source, in that of the table."""
    loaded = dataset.load_table(table) if columns else None
    names = loaded.schema().column_names if loaded else ()
    return tuple(find_name(column, names) or column for column in columns)


def _describe(result: "CompactionResult") -> dict[str, Any]:
    """Return a result in numbers, which the UI plots."""
    if result.obstacle:
        return {"not_compacted": result.obstacle}
    return {
        "files_before": result.files_before,
        "files_after": result.files_before - result.files_removed + result.files_added,
        "files_replaced": result.files_removed,
        "delete_files_removed": result.deletes_removed,
        "bytes_replaced": result.bytes_removed,
        "bytes_written": result.bytes_added,
        "groups_given_up": result.groups_given_up,
    }


def _remove_orphans(context: dg.OpExecutionContext, dataset: MaintainedDataset) -> None:
    from floe_ingestion_defs.destinations import remove_orphans

    older_than = dataset.settings.orphans
    assert older_than is not None  # noqa: S101
    try:
        found = remove_orphans(dataset.open(), older_than, dry_run=False)
    except Exception as error:
        # The same boundary.
        raise dataset.failure(dataset.name, error) from None
    deleted = [orphan for orphan in found if orphan.doubt is None]
    metadata: dict[str, Any] = {
        "files_deleted": len(deleted),
        "bytes_deleted": sum(orphan.bytes for orphan in deleted),
        "files_in_doubt": len(found) - len(deleted),
    }
    if doubts := sorted({orphan.doubt for orphan in found if orphan.doubt is not None}):
        metadata["kept_because"] = "; ".join(doubts)
    context.add_output_metadata(metadata)


def _create_schedule(dataset: MaintainedDataset, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    settings = dataset.settings
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=settings.schedule,
        execution_timezone=settings.timezone,
        default_status=schedule_status(running=settings.default_status == "running"),
        description=f"Maintain the tables of dataset `{dataset.name}`.",
    )
