"""Asset checks of a source: its configured checks become one `@multi_asset_check`.

A check runs after its asset in every load, and on its own when a user runs it. It reads Iceberg, so
it detects problems no matter which process wrote the table.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from floe_ingestion_defs.dagster_wiring.beta_warnings import allow_beta
from floe_ingestion_defs.dagster_wiring.checks.partitions import (
    definition_of,
    partition_keys_of,
    rows_before,
    rows_of_partition,
)
from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.settings.check import Check
from floe_ingestion_defs.dagster_wiring.settings.checks import TableHealthCheck
from floe_ingestion_defs.dagster_wiring.units import as_sentence
from floe_ingestion_defs.dlt_plugin import ResourceSpec, SchemaContractViolation
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult

SCHEMA_CONTRACT = "schema_contract"
FRESHNESS = "freshness"


@dataclass(frozen=True)
class Evaluated:
    """A check that was evaluated.

    Attributes:
        key: Asset and name of the check.
        check: The check.
        result: Its result.
        partition: Key of the partition; None for the whole table.
    """

    key: dg.AssetCheckKey
    check: Check
    result: "CheckResult"
    partition: str | None = None

    def as_evaluation(self) -> dg.AssetCheckEvaluation:
        """Return the result as Dagster's event."""
        return self.result.as_evaluation(
            self.key,
            self.check.severity,
            blocking=bool(self.check.blocking),
            partition=self.partition,
        )


def create_source_checks(
    configured: ConfiguredSource, resource_by_key: Mapping[dg.AssetKey, str]
) -> dg.AssetChecksDefinition | None:
    """Create the checks of a source's assets, or return None if none are configured.

    Args:
        configured: The source, with its settings.
        resource_by_key: The source's assets, with the resource behind each.

    Raises:
        PipelineConfigurationError: A check does not apply to its resource.
    """
    specs = [
        _create_spec(configured, key.asset_key, resource_by_key[key.asset_key], key.name, check)
        for key, check in configured_checks(configured, resource_by_key).items()
    ]
    if not specs:
        return None

    def _as_event(
        found: Evaluated, *, has_partition_key: bool
    ) -> dg.AssetCheckResult | dg.AssetCheckEvaluation:
        # Dagster resolves the partition of an `AssetCheckResult` only in a run of one partition.
        if has_partition_key or not is_partitioned:
            return found.result.as_asset_check_result(found.key, found.check.severity)
        return found.as_evaluation()

    is_partitioned = any(spec.partitions_def for spec in specs)

    @dg.multi_asset_check(
        name=f"check_{configured.name}",
        specs=specs,
        can_subset=True,
        op_tags=configured.settings.op_tags,
    )
    def check_tables(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        keys, partitions = context.selected_asset_check_keys, partition_keys_of(context)
        for found in evaluate_checks(
            configured, resource_by_key, keys, context.instance, partitions
        ):
            yield _as_event(found, has_partition_key=context.has_partition_key)

    return check_tables


def configured_checks(
    configured: ConfiguredSource, resource_by_key: Mapping[dg.AssetKey, str]
) -> dict[dg.AssetCheckKey, Check]:
    """Return the configured checks of a source's assets.

    Args:
        configured: The source, with its settings.
        resource_by_key: The source's assets, with the resource behind each.
    """
    return {
        dg.AssetCheckKey(key, check_name): check
        for key, name in resource_by_key.items()
        for check_name, check in configured.settings.for_resource(name).checks.configured()
    }


def evaluate_checks(
    configured: ConfiguredSource,
    resource_by_key: Mapping[dg.AssetKey, str],
    keys: Iterable[dg.AssetCheckKey],
    instance: dg.DagsterInstance,
    partitions: Sequence[str] = (),
) -> "Iterator[Evaluated]":
    """Evaluate checks against the tables of a source as they are now.

    Args:
        configured: The source, with its settings.
        resource_by_key: The source's assets, with the resource behind each.
        keys: The checks to evaluate.
        instance: Dagster's instance, which also records loads with nothing new.
        partitions: Keys of the partitions of the run.
    """
    # Importing Arrow and pyiceberg takes one to two seconds, too long for loading a location.
    from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
    from floe_ingestion_defs.dagster_wiring.checks.evaluation import evaluate, evaluate_partition
    from floe_ingestion_defs.dagster_wiring.checks.several_tables import combine, find_named_tables
    from floe_ingestion_defs.dagster_wiring.checks.stored_keys import with_stored_keys
    from floe_ingestion_defs.dagster_wiring.tables import read_checked_tables

    checks, now = configured_checks(configured, resource_by_key), datetime.now(UTC)
    resource_of = {key: configured.resources[resource_by_key[key.asset_key]] for key in keys}
    resource_of = with_stored_keys(configured, resource_of)
    named = find_named_tables(configured, {spec.name: spec for spec in resource_of.values()})
    names = {spec.table for spec in resource_of.values()}.union(*named.values())
    found = read_checked_tables(configured.plugin, names)
    for key, resource in sorted(resource_of.items()):
        check, others = checks[key], named.get(resource.name, ())
        # A resource whose rows all name their tables has none of its own.
        has_own = not others or found.tables.get(resource.table, True) is not None
        tables = [resource.table, *others] if has_own else others
        for partition in _partitions_of(check, partitions):
            results: dict[str, CheckResult] = {}
            for name in tables:
                spec = replace(resource, table=name)
                reason = found.blocked.get(name)
                if reason is None and isinstance(check, TableHealthCheck):
                    reason = found.unpublished.get(name)
                if reason is not None:
                    # No check of a table that lacks committed rows for good can pass.
                    results[name] = CheckResult(False, reason, severity="error")
                    continue
                table = found.tables[name]
                rows = partition and rows_of_partition(configured, spec, table, partition)
                if partition and rows:
                    before = rows_before(instance, key.asset_key, partition, rows)
                    # What is recorded per partition is about all tables together.
                    before = None if others else before
                    results[name] = evaluate_partition(check, rows, spec, before)
                else:
                    last_load = last_materialization(instance, key.asset_key)
                    missing = found.missing.get(name, ())
                    results[name] = evaluate(check, table, spec, last_load, now, missing)
            yield Evaluated(key, check, combine(check, results), partition)


def _partitions_of(check: Check, partitions: Sequence[str]) -> Sequence[str | None]:
    return partitions if partitions and check.is_per_partition else (None,)


def _create_spec(
    configured: ConfiguredSource, key: dg.AssetKey, name: str, check_name: str, check: Check
) -> dg.AssetCheckSpec:
    try:
        description = check.describe(configured.resources[name])
    except ValueError as error:
        msg = f"source {configured.name!r}: orchestration.checks of resource {name!r}: {error}"
        raise PipelineConfigurationError(
            msg,
            source_name=configured.name,
        ) from error
    with allow_beta("Specifying a partitions_def on an AssetCheckSpec"):
        return dg.AssetCheckSpec(
            check_name,
            asset=key,
            description=description,
            blocking=bool(check.blocking),
            partitions_def=definition_of(configured, check),
        )


def last_materialization(instance: dg.DagsterInstance, key: dg.AssetKey) -> datetime | None:
    """Return when an asset was last loaded successfully, even with nothing new.

    Iceberg does not record this: a load with nothing new writes nothing.
    """
    event = instance.get_latest_materialization_event(key)
    return None if event is None else datetime.fromtimestamp(event.timestamp, UTC)


def describe_violation(
    configured: ConfiguredSource,
    specs: Mapping[dg.AssetKey, ResourceSpec],
    error: SchemaContractViolation,
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the failed check of a violated contract, although nothing was published.

    The load itself has to yield it: the check is downstream of the load, which fails, so the check
    would remain planned forever.

    Args:
        configured: The source, with its settings.
        specs: The selected assets, with the resource behind each.
        error: The plugin's error.
    """
    for key, resource in specs.items():
        check = configured.settings.for_resource(resource.name).checks.schema_contract
        if check is None or not _is_about(error.table, resource):
            continue
        yield dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=SCHEMA_CONTRACT,
            passed=False,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{as_sentence(error.message)}.",
            metadata={
                "contract": resource.schema_contract,
                "column": error.column,
                **({"expected": error.expected} if error.expected else {}),
                **({"found": error.found} if error.found else {}),
                "published": False,
            },
        )


def _is_about(table: str, resource: ResourceSpec) -> bool:
    """Return whether a table, with or without its namespace, is a resource's or nested in it."""
    name = table.removeprefix(f"{resource.namespace}.")
    return name == resource.table_name or name.startswith(f"{resource.table_name}__")
