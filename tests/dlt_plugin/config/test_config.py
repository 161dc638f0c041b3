"""An error about a configuration names the place, the value and the fix."""

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionConfig,
    DltIngestionPlugin,
    IngestionSourceConfig,
    PipelineConfigurationError,
    RetryConfig,
)
from floe_ingestion_defs.dlt_plugin.config.source_options import OPTIONS_MODELS

FILES = {
    "name": "files",
    "source_type": "filesystem",
    "source_config": {"bucket_url": "landing", "format": "csv"},
    "destination_table": "bronze.items",
}
SHOP = {
    "name": "shop",
    "source_type": "sql_database",
    "source_config": {"table_names": ["orders", "customers"]},
    "destination_table": "bronze.shop_{resource}",
}
API = {
    "name": "api",
    "source_type": "rest_api",
    "source_config": {"client": {"base_url": "http://localhost"}, "resources": ["items"]},
    "destination_table": "bronze.{resource}",
}


def rejection(*sources: dict[str, Any], **config: Any) -> str:
    with pytest.raises(PipelineConfigurationError) as rejected:
        DltIngestionPlugin({"sources": list(sources), **config})
    return str(rejected.value)


@pytest.mark.parametrize(
    ("base", "change", "says"),
    [
        (FILES, {"source_type": "ftp"}, ["source_type", "'ftp'", "'filesystem'", "'rest_api'"]),
        (FILES, {"write_mode": "upsert"}, ["write_mode", "'upsert'", "'merge'"]),
        (FILES, {"write_mod": "append"}, ["write_mod", "did you mean 'write_mode'?"]),
        (FILES, {"write_mode": "merge"}, ["write_mode", "'merge'", "primary_key: id"]),
        (FILES, {"destination_table": "items"}, ["'items'", "'bronze.items'"]),
        (
            FILES,
            {"destination_table": "bronze.My Items"},
            ["'bronze.My Items'", "'bronze.my_items'"],
        ),
        *[
            (FILES, {"destination_table": f"bronze.{name}"}, [repr(name), "reserved", "'bronze.l"])
            for name in ("dlt_loads", "_dlt_loads")
        ],
        (FILES, {"destination_table": "a.b.c"}, ["'a.b.c'", "namespace.table"]),
        (FILES, {"destination_table": "bronze.x_{resource}"}, ["resource_name"]),
        (FILES, {"name": "My-Files"}, ["name", "'My-Files'", "'my_files'"]),
        (FILES, {"name": "my__files"}, ["'my__files'", "'my_files'"]),
        (FILES, {"schema_contract": "strict"}, ["schema_contract", "'strict'", "'freeze'"]),
        (FILES, {"merge_strategy": "upsert"}, ["merge_strategy", "'upsert'", "write_mode: merge"]),
        (FILES, {"initial_value": 5}, ["initial_value", "5", "cursor_field"]),
        (FILES, {"lag": 60}, ["lag", "60", "cursor_field"]),
        (FILES, {"partition_by": "week(day)"}, ["partition_by", "'week(day)'", "month(c)"]),
        (FILES, {"primary_key": ["id", "id"]}, ["primary_key", "['id', 'id']"]),
        (FILES, {"columns": {"id": "integer"}}, ["columns.id", "'integer'", "'bigint'"]),
        (
            FILES,
            {"columns": {"id": {"data_type": "decimal", "scale": 2}}},
            ["columns.id", "precision"],
        ),
        (FILES, {"resources": {"other": {}}}, ["resources.other", "items"]),
        (
            FILES,
            {"source_config": {"format": "csv"}},
            ["source_config.bucket_url", "is required", "s3://"],
        ),
        (
            FILES,
            {"source_config": {"bucket_url": "x", "format": "xml"}},
            ["source_config.format", "'xml'", "'parquet'"],
        ),
        (
            FILES,
            {"source_config": {"bucket_url": "x", "format": "csv", "delimeter": ";"}},
            ["source_config.delimeter", "did you mean 'delimiter'?"],
        ),
        (
            FILES,
            {"source_config": {"bucket_url": "x", "format": "csv", "encoding": "utf-9"}},
            ["source_config.encoding", "'utf-9'", "utf-8"],
        ),
        (
            FILES,
            {
                "write_mode": "replace",
                "source_config": {"bucket_url": "x", "format": "csv", "only_new_files": True},
            },
            ["write_mode", "only_new_files: false"],
        ),
        (SHOP, {"destination_table": "bronze.shop"}, ["'bronze.shop'", "{resource}"]),
        (SHOP, {"source_config": {"table_names": []}}, ["source_config.table_names"]),
        (SHOP, {"source_config": {"table_names": ["a", "a"]}}, ["a", "more than once"]),
        (
            SHOP,
            {"source_config": {"table_names": ["注文"]}},
            ["'注文'", "{table: 注文, name: orders}"],
        ),
        (
            SHOP,
            {"source_config": {"table_names": ["Order Items", "order_items"]}},
            ["order_items", "more than once"],
        ),
        (
            SHOP,
            {"source_config": {"table_names": ["orders"], "where": {"ordres": "true"}}},
            ["where names table 'ordres'"],
        ),
        (
            SHOP,
            {"resources": {"orders": {"primary_keys": "id"}}},
            ["resources.orders.primary_keys", "did you mean 'primary_key'?"],
        ),
        (
            SHOP,
            {"cursor_field": "at", "on_cursor_value_missing": "include"},
            ["on_cursor_value_missing", "'append'", "write_mode: merge"],
        ),
        (
            SHOP,
            {"on_cursor_value_missing": "exclude"},
            ["on_cursor_value_missing", "cursor_field is not set"],
        ),
        (
            SHOP,
            {"resources": {"orders": {"destination_table": "bronze.shop_customers"}}},
            ["'orders'", "'customers'", "'bronze.shop_customers'"],
        ),
        (
            SHOP,
            {"resources": {"orders": {"destination_table": "silver.orders"}}},
            ["bronze", "silver", "namespace"],
        ),
        (
            API,
            {
                "source_config": {
                    "client": {"base_url": "x", "pagnator": "auto"},
                    "resources": ["a"],
                }
            },
            ["source_config.client.pagnator", "did you mean 'paginator'?"],
        ),
        (
            API,
            {
                "source_config": {
                    "client": {"base_url": "x"},
                    "resources": [{"name": "a", "endpoint": {"parms": {}}}],
                }
            },
            ["source_config.resources.0.endpoint.parms", "did you mean 'params'?"],
        ),
        (
            API,
            {
                "cursor_field": "at",
                "source_config": {
                    "client": {"base_url": "x"},
                    "resources": [
                        {
                            "name": "a",
                            "endpoint": {"params": {"since": "{incremental.start_value}"}},
                        }
                    ],
                },
            },
            ["'a'", "initial_value"],
        ),
    ],
)
def test_an_invalid_source_is_rejected_with_name_field_value_and_remedy(
    base: dict[str, Any], change: dict[str, Any], says: list[str]
) -> None:
    source = {**base, **change}
    text = rejection(source)
    for part in [f"source {source['name']!r}", *says]:
        assert part in text


def test_two_sources_with_the_same_name_are_rejected() -> None:
    assert "'files'" in rejection(FILES, {**FILES, "destination_table": "bronze.others"})


def test_two_sources_of_different_write_modes_do_not_share_a_table() -> None:
    text = rejection(FILES, {**FILES, "name": "more", "write_mode": "merge", "primary_key": "id"})
    for part in ["'more'", "'merge'", "'append'", "'files'", "'bronze.items'"]:
        assert part in text


def test_two_sources_that_append_may_share_a_table() -> None:
    config = DltIngestionConfig.model_validate({"sources": [FILES, {**FILES, "name": "more"}]})
    assert len(config.sources) == 2


def test_a_table_that_is_replaced_belongs_to_one_source() -> None:
    replaced = {**FILES, "write_mode": "replace"}
    assert "'bronze.items'" in rejection(replaced, {**replaced, "name": "more"})


def test_an_error_never_repeats_a_value_that_may_be_a_secret() -> None:
    secret = "sw0rdfish"
    for change in (
        {"credentals": f"postgresql://me:{secret}@db/shop"},
        {"credentials": [secret]},
        {"source_config": {"table_names": ["orders"], "credentials": [secret]}},
        {"source_config": {"table_names": ["orders"], "chunk_size": secret}},
        {"lag": 5, "credentials": secret},
    ):
        assert secret not in rejection({**SHOP, **change})


def test_a_location_of_each_error_is_kept_for_editors() -> None:
    with pytest.raises(ValidationError) as rejected:
        DltIngestionConfig.model_validate(
            {"sources": [FILES, {**SHOP, "source_config": {"table_names": ["a"], "schem": "x"}}]}
        )
    assert rejected.value.errors()[0]["loc"] == ("sources", 1, "source_config", "schem")


def test_secrets_do_not_show_in_repr() -> None:
    config = IngestionSourceConfig.model_validate(
        {
            **API,
            "credentials": "sw0rdfish",
            "source_config": {
                "client": {
                    "base_url": "http://x",
                    "auth": {"type": "bearer", "token": "sw0rdfish"},
                },
                "resources": ["items"],
            },
        }
    )
    plugin = DltIngestionPlugin(
        DltIngestionConfig(sources=(config,), catalog_config={"token": "sw0rdfish"})
    )
    assert "sw0rdfish" not in repr(plugin.config) + repr(config) + str(plugin) + repr(plugin)


def test_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError):
        RetryConfig().max_retries = 5


def test_a_placeholder_stands_for_a_value_of_any_type() -> None:
    source = {**SHOP, "source_config": {"table_names": ["orders"], "chunk_size": "${CHUNK}"}}
    assert DltIngestionPlugin({"sources": [source]}).source("shop").name == "shop"


@pytest.mark.parametrize("model", [DltIngestionConfig, *OPTIONS_MODELS.values()])
def test_every_field_has_a_description_in_its_json_schema(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    for name, part in {model.__name__: schema, **schema.get("$defs", {})}.items():
        for field, said in part.get("properties", {}).items():
            described = schema["$defs"][said["$ref"].split("/")[-1]] if "$ref" in said else said
            assert described.get("description"), f"{name}.{field}"


def test_an_unknown_source_is_rejected_with_the_configured_names() -> None:
    plugin = DltIngestionPlugin({"sources": [FILES, SHOP]})
    with pytest.raises(PipelineConfigurationError, match="files, shop"):
        plugin.source("shops")


def test_listing_resources_imports_no_dlt_no_driver_and_reads_nothing() -> None:
    code = f"""
import sys, socket, json
socket.socket.connect = lambda *a: (_ for _ in ()).throw(AssertionError("network"))
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin
plugin = DltIngestionPlugin({{"sources": json.loads({json.dumps(json.dumps([FILES, SHOP, API]))})}})
print(sorted(spec.table for s in plugin.config.sources for spec in plugin.list_resources(s)))
heavy = {{"dlt", "pyarrow", "pyiceberg", "sqlalchemy", "fsspec", "requests", "dagster"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(
        ["bronze.items", "bronze.items", "bronze.shop_customers", "bronze.shop_orders"]
    )


def test_rewrite_executor_is_threads_ray_or_dask() -> None:
    assert DltIngestionConfig().rewrite_executor == "threads"
    with pytest.raises(ValidationError, match="'threads', 'ray' or 'dask'"):
        DltIngestionConfig.model_validate({"rewrite_executor": "processes"})


def test_branch_tables_is_clone_or_empty() -> None:
    """One setting for all sources; any other value is rejected with the two valid ones."""
    assert DltIngestionConfig().branch_tables == "clone"
    with pytest.raises(ValidationError, match="'clone' or 'empty'"):
        DltIngestionConfig.model_validate({"branch_tables": "copy"})
