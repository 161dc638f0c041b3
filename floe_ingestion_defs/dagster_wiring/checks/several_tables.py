"""Checks of an asset with several tables, whose rows name them: one result for all of them."""

from collections.abc import Mapping

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult, table_of
from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.settings.check import Check
from floe_ingestion_defs.dagster_wiring.settings.checks import FreshnessCheck
from floe_ingestion_defs.dlt_plugin import ResourceSpec
from floe_ingestion_defs.dlt_plugin.config.destination import open_configured_catalog

_RESULTS = ("table", "result", "summary")


def find_named_tables(
    configured: ConfiguredSource, resources: Mapping[str, ResourceSpec]
) -> dict[str, tuple[str, ...]]:
    """Return the tables that rows of each resource name; only Python sources have such rows.

    Args:
        configured: The source.
        resources: The resources, by name.
    """
    from floe_ingestion_defs.dlt_plugin.named_tables import read_named_tables

    if configured.source.source_type != "python":
        return {}
    plugin = configured.plugin
    catalog = open_configured_catalog(plugin.get_destination_config(plugin.config.catalog_config))
    return read_named_tables(catalog, configured.name, resources.values())


def combine(check: Check, results: Mapping[str, CheckResult]) -> CheckResult:
    """Return the result of a check of an asset from those of its tables.

    Args:
        check: The check. A source is fresh if one of its tables is; any other check holds for all.
        results: The results, by table.
    """
    if len(results) == 1:
        return next(iter(results.values()))
    failed = {table: result for table, result in results.items() if not result.passed}
    is_fresh = isinstance(check, FreshnessCheck) and len(failed) < len(results)
    summaries = [f"{table}: {result.summary}" for table, result in failed.items()]
    listed = [
        {
            "table": table,
            "result": "passed" if result.passed else "failed",
            "summary": result.summary,
        }
        for table, result in results.items()
    ]
    severe = [result.severity for result in failed.values() if result.severity]
    return CheckResult(
        not failed or is_fresh,
        " ".join(summaries) if summaries and not is_fresh else f"{len(results)} tables passed.",
        {"failed_tables": len(failed), "tables": table_of(listed, _RESULTS)},
        severe[0] if severe else None,
    )
