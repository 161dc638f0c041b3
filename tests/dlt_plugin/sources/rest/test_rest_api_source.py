"""APIs are read page by page, from where the last load ended, as by dlt's REST source."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    ErrorCategory,
    LoadResult,
    PipelineConfigurationError,
    SourceConnectionError,
)

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]

DAYS = [{"at": f"2024-01-0{day}T00:00:00Z", "id": day} for day in range(1, 6)]


def configured(source: Source, **options: Any) -> Source:
    return {**source, "source_config": {**source["source_config"], **options}}


@pytest.fixture
def since(items: Source) -> Source:
    """The API's items, asked for from the cursor on."""
    resource = {
        "name": "items",
        "endpoint": {
            "path": "items",
            "data_selector": "data",
            "params": {"since": "{incremental.start_value}"},
        },
    }
    return {
        **configured(items, resources=[resource]),
        "cursor_field": "at",
        "initial_value": "2024-01-02T00:00:00Z",
        "columns": {"at": "timestamp"},
    }


def test_all_pages_are_loaded(items: Source, load: Load, rows: Rows, api: Any) -> None:
    api.rows = [{"id": number, "name": str(number)} for number in range(5)]
    assert load(items).rows_loaded == 5
    assert len(api.requests) == 3
    assert [row["id"] for row in rows("bronze.items")] == [0, 1, 2, 3, 4]


def test_the_cursor_is_in_the_request_and_advances(
    since: Source, load: Load, rows: Rows, api: Any
) -> None:
    api.rows = DAYS[:3]
    assert load(since).rows_loaded == 2
    api.rows = DAYS
    assert load(since).rows_loaded == 2
    assert "since=2024-01-03T00%3A00%3A00Z" in api.requests[-2]
    assert load(since).rows_loaded == 0
    assert [row["at"] for row in rows("bronze.items")] == [
        datetime(2024, 1, day, tzinfo=UTC) for day in range(2, 6)
    ]


def test_an_incremental_parameter_of_dlts_own_kind_is_left_as_it_is(
    since: Source, load: Load, api: Any
) -> None:
    own = {
        "type": "incremental",
        "cursor_path": "at",
        "initial_value": "2024-01-04T00:00:00Z",
    }
    since = configured(
        since,
        resources=[
            {
                "name": "items",
                "endpoint": {"path": "items", "data_selector": "data", "params": {"since": own}},
            }
        ],
    )
    api.rows = DAYS
    assert load(since).rows_loaded == 2
    assert "since=2024-01-04" in api.requests[0]


def test_a_cursor_without_a_request_parameter_filters_the_rows(
    items: Source, load: Load, api: Any
) -> None:
    filtered = {**items, "cursor_field": "at"}
    api.rows = DAYS[:3]
    assert load(filtered).rows_loaded == 3
    api.rows = DAYS
    assert load(filtered).rows_loaded == 2


def test_nested_values_become_tables_of_their_own(
    items: Source, load: Load, rows: Rows, api: Any
) -> None:
    api.rows = [{"id": 1, "tags": [{"name": "a"}, {"name": "b"}]}]
    result = load(items)
    assert result.table_rows == {"items": 1, "items__tags": 2}
    assert result.resources["items"].rows_loaded == 1
    assert result.rows_loaded == 3
    assert [row["name"] for row in rows("bronze.items__tags")] == ["a", "b"]


def test_a_resource_s_own_settings_apply_where_the_source_has_none(
    items: Source, load: Load, rows: Rows, api: Any
) -> None:
    resource = {
        **items["source_config"]["resources"][0],
        "write_disposition": "merge",
        "primary_key": "id",
    }
    merged = configured(items, resources=[resource])
    plugin = DltIngestionPlugin({"sources": [merged]})
    spec = plugin.list_resources(plugin.source("items"))[0]
    assert (spec.write_mode, spec.primary_key) == ("merge", ("id",))
    api.rows = [{"id": 1, "name": "old"}]
    load(merged)
    api.rows = [{"id": 1, "name": "new"}]
    load(merged)
    assert rows("bronze.items") == [{"id": 1, "name": "new"}]


def test_a_parent_that_is_not_selected_is_read_but_not_loaded(
    items: Source, load: Load, tables: Callable[[], set[str]], api: Any
) -> None:
    parent = {**items["source_config"]["resources"][0], "selected": False}
    child = {
        "name": "details",
        "endpoint": {"path": "items/{resources.items.id}", "data_selector": "data"},
    }
    api.rows = [{"id": 7}]
    source = {
        **configured(items, resources=[parent, child]),
        "destination_table": "bronze.{resource}",
    }
    assert load(source).rows_loaded == 1
    assert tables() == {"bronze.details"}
    assert "/items/7" in api.requests


def test_credentials_are_sent_as_a_bearer_token(items: Source, load: Load, api: Any) -> None:
    api.rows = [{"id": 1}]
    load({**items, "credentials": "sw0rdfish"})
    assert api.headers[0]["Authorization"] == "Bearer sw0rdfish"


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, ErrorCategory.PERMANENT),
        (403, ErrorCategory.PERMANENT),
        (400, ErrorCategory.CONFIGURATION),
        (404, ErrorCategory.CONFIGURATION),
    ],
)
def test_a_rejected_request_has_its_category(
    items: Source, load: Load, api: Any, status: int, category: ErrorCategory
) -> None:
    api.script = [(status, {}, b"{}")] * 20
    with pytest.raises(SourceConnectionError, match=str(status)) as failed:
        load(items)
    assert failed.value.category is category
    assert len(api.requests) == 1


def test_a_query_with_a_key_in_it_is_not_shown(items: Source, load: Load, api: Any) -> None:
    api.script = [(403, {}, b"{}")]
    auth = {"type": "api_key", "name": "key", "api_key": "sw0rdfish", "location": "query"}
    source = configured(items, client={**items["source_config"]["client"], "auth": auth})
    with pytest.raises(SourceConnectionError) as failed:
        load(source)
    assert "key=sw0rdfish" in api.requests[0]
    assert "sw0rdfish" not in str(failed.value)


def test_an_api_that_cannot_be_reached_is_a_connection_error(items: Source, load: Load) -> None:
    client = {"base_url": "http://127.0.0.1:1"}
    with pytest.raises(SourceConnectionError) as failed:
        load(configured(items, client=client))
    assert failed.value.category is ErrorCategory.TRANSIENT


def test_broken_json_fails_and_leaves_nothing(
    items: Source, load: Load, api: Any, tables: Callable[[], set[str]]
) -> None:
    api.script = [(200, {}, b'{"data": [{"id":')]
    with pytest.raises(Exception, match="items"):
        load(items)
    assert tables() == set()


def test_a_column_from_within_an_object_can_be_declared_and_partitioned_by(
    items: Source, load: Load, api: Any, rows: Rows
) -> None:
    """By the name that dlt gives it, which has two underscores, under a contract too."""
    from floe_ingestion_defs.destinations import open_catalog

    source = {
        **items,
        "columns": {"id": "bigint", "address__city": "text"},
        "partition_by": ["address__city"],
        "schema_contract": "freeze",
    }
    api.rows = [{"id": 1, "address": {"city": "Oslo"}}]
    load(source)
    api.rows = [{"id": 2, "address": {"city": "Bergen"}}, {"id": 3, "address__city": "Oslo"}]
    load(source)
    assert {(row["id"], row["address__city"]) for row in rows("bronze.items")} == {
        (1, "Oslo"),
        (2, "Bergen"),
        (3, "Oslo"),
    }
    files = open_catalog().load_table("bronze.items").scan().plan_files()
    assert {file.file.partition[0] for file in files} == {"Oslo", "Bergen"}


def selecting(items: Source, selector: str) -> Source:
    endpoint = {"path": "items", "data_selector": selector}
    return configured(items, resources=[{"name": "items", "endpoint": endpoint}])


def test_a_data_selector_that_matches_nothing_fails_the_first_load(
    items: Source, load: Load, api: Any, tables: Callable[[], set[str]]
) -> None:
    """dlt takes such a response for an empty one, and the run would be green forever."""
    api.rows = [{"id": 1}]
    with pytest.raises(PipelineConfigurationError, match=r"items.*'dta', which.*fields are.*data"):
        load(selecting(items, "dta"))
    assert tables() == set()


def test_a_data_selector_in_the_defaults_is_checked_too(
    items: Source, load: Load, api: Any
) -> None:
    api.rows = [{"id": 1}]
    source = configured(
        items,
        resources=[{"name": "items", "endpoint": "items"}],
        resource_defaults={"endpoint": {"data_selector": "dta"}},
    )
    with pytest.raises(PipelineConfigurationError, match="'dta'"):
        load(source)


def test_an_api_that_leaves_out_the_field_of_its_rows_where_there_are_none_is_only_logged(
    items: Source, load: Load, api: Any, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    api.rows = [{"id": 1}]
    load(items)
    load(selecting(items, "dta"))
    assert rows("bronze.items") == [{"id": 1}]
    assert "'dta', which matches nothing" in caplog.text


def test_an_empty_list_of_rows_is_no_error(items: Source, load: Load, api: Any) -> None:
    api.rows = []
    assert load(items).rows_loaded == 0


def test_declared_columns_keep_their_types_beside_one_that_never_fits(
    items: Source, api: Any, load: Load, table: Callable[[str], pa.Table]
) -> None:
    """The pages are passed to dlt, which makes a variant column of that one."""
    api.rows = [{"id": 1, "day": "2024-01-02", "flag": "1999-12-31"}]
    load({**items, "columns": {"day": "date", "flag": "bool", "id": "bigint"}})
    schema = table("bronze.items").schema
    assert schema.field("day").type == pa.date32()
    assert "flag__v_text" in schema.names
