"""Evaluates the checks after a failed load, against the unchanged tables.

The checks are downstream of the load, so they do not run after it fails, and Dagster shows a check
that was planned and did not run as failed. All of them would be red, which would hide the one that
was violated.
"""

from collections.abc import Iterator, Set
from dataclasses import replace

import dagster as dg

from floe_ingestion_defs.dagster_wiring.checks.asset_checks import (
    configured_checks,
    evaluate_checks,
)
from floe_ingestion_defs.dagster_wiring.checks.partitions import partition_keys_of
from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.translator import resources_by_key


def describe_unaffected(
    context: dg.AssetExecutionContext, configured: ConfiguredSource, reported: Set[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield an evaluation for each planned check that the load itself did not report.

    Args:
        context: The context of the failed load.
        configured: The source, with its settings.
        reported: The checks that the load was found to violate.
    """
    resources = resources_by_key(context.assets_def)
    checks = configured_checks(configured, resources)
    keys = [
        key
        for key in dict.fromkeys(_list_planned(context))
        if key in checks and key not in reported
    ]
    partitions = partition_keys_of(context)
    try:
        found = list(evaluate_checks(configured, resources, keys, context.instance, partitions))
    except Exception as error:  # any error: it must not hide why the load failed
        context.log.warning("the tables could not be checked after the failed load: %s", error)
        return
    for each in found:
        summary = f"{each.result.summary} Evaluated after a failed load."
        yield replace(each, result=replace(each.result, summary=summary)).as_evaluation()


def _list_planned(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckKey]:
    planned = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
    for entry in context.instance.all_logs(context.run.run_id, of_type=planned):
        if entry.dagster_event is not None:
            data = entry.dagster_event.asset_check_planned_data
            yield dg.AssetCheckKey(data.asset_key, data.check_name)
