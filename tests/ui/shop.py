"""The code location that the tests open in a browser: two sources, whose databases they own."""

import dagster as dg

from floe_ingestion_defs.contracts import CompiledArtifacts
from floe_ingestion_defs.dagster_wiring import create_definitions

SOURCES = [
    {
        "name": "shop",
        "source_type": "sql_database",
        "source_config": {"table_names": ["orders"]},
        "credentials": "${SHOP_DATABASE}",
        "destination_table": "bronze.shop_{resource}",
        "write_mode": "merge",
        "primary_key": "id",
        "cursor_field": "updated_at",
        "schema_contract": "freeze",
        "columns": {
            "id": {"data_type": "bigint", "nullable": False},
            "total": {"data_type": "double", "description": "Euros, with tax."},
            "updated_at": {"data_type": "text"},
        },
        "resources": {"orders": {"description": "What customers ordered."}},
        "orchestration": {"checks": {"unique_key": True, "not_null": True}},
    },
    # By itself, so that what its schedule starts meets no other test.
    {
        "name": "stock",
        "description": "What is in the warehouse.",
        "source_type": "sql_database",
        "source_config": {"table_names": ["parts"]},
        "credentials": "${STOCK_DATABASE}",
        "destination_table": "bronze.stock_{resource}",
        "orchestration": {"cron": "* * * * *"},
    },
]

ARTIFACTS = CompiledArtifacts.model_validate(
    {"plugins": {"ingestion": {"type": "dlt", "version": "0.1.0", "config": {"sources": SOURCES}}}}
)

# A process for every step would spend the tests' time on imports.
defs = dg.Definitions.merge(
    create_definitions(ARTIFACTS), dg.Definitions(executor=dg.in_process_executor)
)
