"""Asset checks of a source: what is configured becomes one `@multi_asset_check`.

A check runs after its asset in every load, and alone when somebody asks. It reads Iceberg, so it
finds out what a table is like whoever wrote it.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.settings.checks import Check
from floe_ingestion_defs.dlt_plugin import ResourceSpec, SchemaContractViolation
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult

SCHEMA_CONTRACT = "schema_contract"
FRESHNESS = "freshness"


def create_source_checks(
    configured: ConfiguredSource, resource_by_key: Mapping[dg.AssetKey, str]
) -> dg.AssetChecksDefinition | None:
    """Make the checks of a source's assets, or none where none are configured.

    Args:
        configured: The source, with its settings.
        resource_by_key: The source's assets, with the resource behind each.

    Raises:
        PipelineConfigurationError: A check does not fit its resource.
    """
    specs = [
        _create_spec(configured, key.asset_key, resource_by_key[key.asset_key], key.name, check)
        for key, check in configured_checks(configured, resource_by_key).items()
    ]
    if not specs:
        return None

    @dg.multi_asset_check(
        name=f"check_{configured.name}",
        specs=specs,
        can_subset=True,
        op_tags=configured.settings.op_tags,
    )
    def check_tables(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        keys = context.selected_asset_check_keys
        for key, check, result in evaluate_checks(
            configured, resource_by_key, keys, context.instance
        ):
            yield result.as_asset_check_result(key, check.severity)

    return check_tables


def configured_checks(
    configured: ConfiguredSource, resource_by_key: Mapping[dg.AssetKey, str]
) -> dict[dg.AssetCheckKey, Check]:
    """Return the checks of a source's assets, as configured.

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
) -> "Iterator[tuple[dg.AssetCheckKey, Check, CheckResult]]":
    """Look at the tables of a source as they are now.

    Args:
        configured: The source, with its settings.
        resource_by_key: The source's assets, with the resource behind each.
        keys: The checks that are asked for.
        instance: Dagster's instance, which knows when a load with nothing new was.
    """
    # Arrow and pyiceberg take a second or two to import, which loading a location must not.
    from floe_ingestion_defs.dagster_wiring.checks.evaluation import evaluate
    from floe_ingestion_defs.dagster_wiring.tables import load_tables

    checks, now = configured_checks(configured, resource_by_key), datetime.now(UTC)
    resource_of = {key: configured.resources[resource_by_key[key.asset_key]] for key in keys}
    tables = load_tables(configured.plugin, (spec.table for spec in resource_of.values()))
    for key, resource in sorted(resource_of.items()):
        last_load = last_materialization(instance, key.asset_key)
        result = evaluate(checks[key], tables[resource.table], resource, last_load, now)
        yield key, checks[key], result


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
    return dg.AssetCheckSpec(
        check_name, asset=key, description=description, blocking=check.blocking
    )


def last_materialization(instance: dg.DagsterInstance, key: dg.AssetKey) -> datetime | None:
    """Return when an asset was last loaded successfully, also where there was nothing new.

    Iceberg cannot say: a load with nothing new writes nothing.
    """
    event = instance.get_latest_materialization_event(key)
    return None if event is None else datetime.fromtimestamp(event.timestamp, UTC)


def describe_violation(
    configured: ConfiguredSource,
    specs: Mapping[dg.AssetKey, ResourceSpec],
    error: SchemaContractViolation,
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield what shows a violated contract as a failed check, although nothing was published.

    The load itself has to yield it: the check stands downstream of the load, which fails, and
    would stay planned for ever.

    Args:
        configured: The source, with its settings.
        specs: The selected assets, with the resource behind each.
        error: What the plugin found.
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
            description=f"{error.message[:1].upper()}{error.message[1:]}.",
            metadata={
                "contract": resource.schema_contract,
                "column": error.column,
                **({"expected": error.expected} if error.expected else {}),
                **({"found": error.found} if error.found else {}),
                "published": False,
            },
        )


def _is_about(table: str, resource: ResourceSpec) -> bool:
    """Whether a table is a resource's, or is nested in it, with or without its namespace."""
    name = table.removeprefix(f"{resource.namespace}.")
    return name == resource.table_name or name.startswith(f"{resource.table_name}__")
