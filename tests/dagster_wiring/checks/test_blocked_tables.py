from collections.abc import Callable
from typing import Any

import dagster as dg

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

Load = Callable[..., dg.ExecuteInProcessResult]
ORDERS = dg.AssetKey("ingestion__shop__orders")
CUSTOMERS = dg.AssetKey("ingestion__shop__customers")


def test_the_checks_of_a_blocked_table_fail_and_name_the_command(
    load: Load, shop: dict[str, Any], instance: dg.DagsterInstance
) -> None:
    """Also where the table itself cannot be loaded; the other tables' checks pass."""
    load()
    catalog = open_catalog()
    (namespace,) = catalog.list_namespaces()
    log = catalog.load_table((*namespace, "_dlt_loads"))
    with log.transaction() as transaction:
        transaction.set_properties({"dlt.blocked.shop_orders": "1 ForbiddenError"})
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
    alone = dg.define_asset_job("alone", selection=dg.AssetSelection.all_asset_checks())

    result = (
        dg.Definitions.merge(definitions, dg.Definitions(jobs=[alone]))
        .resolve_job_def("alone")
        .execute_in_process(instance=instance)
    )

    found = {
        evaluation.asset_key: evaluation for evaluation in result.get_asset_check_evaluations()
    }
    assert found[CUSTOMERS].passed
    assert not found[ORDERS].passed
    assert found[ORDERS].severity is dg.AssetCheckSeverity.ERROR
    assert "ForbiddenError" in str(found[ORDERS].description)
    assert "`floe release bronze shop_orders --yes`" in str(found[ORDERS].description)
