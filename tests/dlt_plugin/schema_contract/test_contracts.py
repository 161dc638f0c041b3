"""Schema contracts mean the same for rows from files, databases and APIs."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import ErrorCategory, LoadResult, SchemaContractViolation

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(params=["csv", "jsonl", "rest_api"])
def offer(
    request: pytest.FixtureRequest, files: Source, items: Source, landing: Path, api: Any
) -> tuple[Source, Callable[[list[dict[str, Any]]], None]]:
    """A source of one kind, and what makes it offer rows."""
    import json

    if request.param == "rest_api":

        def offer_api(rows: list[dict[str, Any]]) -> None:
            api.rows = rows

        return {**items, "name": "any"}, offer_api
    files = {**files, "name": "any"}
    options = {**files["source_config"], "file_glob": "*", "format": request.param}

    def offer_file(rows: list[dict[str, Any]]) -> None:
        path = landing / str(len(list(landing.iterdir())))
        if request.param == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
            path.write_text("\n".join(lines) + "\n")

    return {**files, "source_config": options}, offer_file


def test_evolve_adds_new_columns(offer: Any, load: Load, rows: Rows) -> None:
    source, give = offer
    give([{"id": 1}])
    load(source)
    give([{"id": 2, "more": "x"}])
    load(source)
    assert rows("bronze.items")[-1] == {"id": 2, "more": "x"}


def test_freeze_fails_on_a_new_column_and_nothing_becomes_visible(
    offer: Any, load: Load, rows: Rows
) -> None:
    source, give = offer
    source["schema_contract"] = "freeze"
    give([{"id": 1}])
    load(source)
    give([{"id": 2, "more": "x"}])
    with pytest.raises(SchemaContractViolation) as failed:
        load(source)
    assert (failed.value.table, failed.value.column) == ("items", "more")
    assert failed.value.category is ErrorCategory.PERMANENT
    assert rows("bronze.items") == [{"id": 1}]


def test_freeze_holds_for_declared_columns_from_the_first_load_on(
    offer: Any, load: Load, tables: Callable[[], set[str]]
) -> None:
    source, give = offer
    source |= {"schema_contract": "freeze", "columns": {"id": "bigint"}}
    give([{"id": 1, "more": "x"}])
    with pytest.raises(SchemaContractViolation, match="'more'"):
        load(source)
    assert tables() == set()


def test_discard_value_drops_the_new_column(offer: Any, load: Load, rows: Rows) -> None:
    source, give = offer
    source |= {"schema_contract": "discard_value", "columns": {"id": "bigint"}}
    give([{"id": 1, "more": "x"}])
    load(source)
    assert rows("bronze.items") == [{"id": 1}]


def test_discard_row_drops_the_row(offer: Any, load: Load, rows: Rows) -> None:
    source, give = offer
    source |= {"schema_contract": "discard_row", "columns": {"id": "bigint"}}
    give([{"id": 1}])
    load(source)
    give([{"id": 2, "more": "x"}])
    load(source)
    assert rows("bronze.items") == [{"id": 1}]


def test_a_column_missing_from_the_source_stays_in_the_table(
    offer: Any, load: Load, rows: Rows
) -> None:
    source, give = offer
    source["schema_contract"] = "freeze"
    give([{"id": 1, "name": "x"}])
    load(source)
    give([{"id": 2}])
    load(source)
    assert rows("bronze.items") == [{"id": 1, "name": "x"}, {"id": 2, "name": None}]


@pytest.fixture
def agreed(offer: Any, load: Load) -> Any:
    """A source whose table has an id and an amount by now, and rejects whole rows."""
    source, give = offer
    source |= {"columns": {"id": "bigint", "amount": "bigint"}, "schema_contract": "discard_row"}
    give([{"id": 1, "amount": 10}])
    load(source)
    return source, give


MIXED: list[dict[str, Any]] = [
    {"id": 2, "amount": 20, "more": "x"},
    {"id": 3, "amount": 30, "more": None},
    {"id": 4, "amount": "lots", "more": None},
]


def mixed(source: Source) -> list[dict[str, Any]]:
    """The rows as the source's format has them: csv has no missing keys and no None."""
    if source["source_config"].get("format") == "csv":
        return [
            {key: "" if value is None else value for key, value in row.items()} for row in MIXED
        ]
    return MIXED


def test_freeze_names_the_incoming_type(agreed: Any, load: Load, rows: Rows) -> None:
    source, give = agreed
    source["schema_contract"] = "freeze"
    give([{"id": 4, "amount": "lots"}])
    with pytest.raises(SchemaContractViolation) as failed:
        load(source)
    error = failed.value
    assert (error.column, error.expected, error.found) == ("amount", "bigint", "text")
    assert error.value is None
    assert "lots" not in str(error)
    assert rows("bronze.items") == [{"id": 1, "amount": 10}]


@pytest.mark.parametrize(
    ("row", "value", "says"),
    [
        (
            {"id": 4, "amount": "lots"},
            "'lots'",
            "is bigint, but the source returned text, such as 'lots';",
        ),
        ({"id": 4, "more": "x" * 200}, f"'{'x' * 99}…", "(text, such as 'xx"),
    ],
)
def test_a_value_that_does_not_fit_is_shown_where_that_is_allowed(
    agreed: Any, load: Load, row: dict[str, Any], value: str, says: str
) -> None:
    source, give = agreed
    source |= {"schema_contract": "freeze", "show_values": True}
    give([row])
    with pytest.raises(SchemaContractViolation) as failed:
        load(source)
    assert failed.value.value == value
    assert says in str(failed.value)


def test_discard_row_counts_the_dropped_rows(agreed: Any, load: Load, rows: Rows) -> None:
    source, give = agreed
    give(mixed(source))
    result = load(source)
    assert result.rows_loaded == 1
    rejected = result.resources["items"].rejected
    assert rejected.rows == 2
    assert dict(rejected.rows_by_reason) == {
        "column more is new": 1,
        "column amount is bigint, not text": 1,
    }
    assert rows("bronze.items") == [{"id": 1, "amount": 10}, {"id": 3, "amount": 30}]


def test_discard_value_counts_the_dropped_values(agreed: Any, load: Load, rows: Rows) -> None:
    source, give = agreed
    source["schema_contract"] = "discard_value"
    give(mixed(source))
    result = load(source)
    assert result.rows_loaded == 3
    assert dict(result.resources["items"].rejected.values_by_column) == {"more": 1, "amount": 1}
    assert rows("bronze.items")[1:] == [
        {"id": 2, "amount": 20},
        {"id": 3, "amount": 30},
        {"id": 4, "amount": None},
    ]


def test_rejected_rows_are_kept_where_that_is_configured(
    agreed: Any, load: Load, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    source, give = agreed
    source["quarantine"] = True
    give(mixed(source))
    result = load(source)
    assert result.rows_loaded == 1
    assert result.table_rows["items__rejected"] == 2
    kept = rows("bronze.items__rejected")
    assert {row["reason"]: json.loads(row["row"])["id"] for row in kept} == {
        "column more is new": 2,
        "column amount is bigint, not text": 4,
    }
    assert "schema contract rejected data" in capsys.readouterr().err
    # They are of one load, and so of one commit: neither is there without the other.
    catalog = open_catalog()
    loads = [catalog.load_table(f"bronze.{name}").current_snapshot() for name in result.table_rows]
    assert len(loads) == 2
    uids = {str(load.summary["dlt.load-uid"]) for load in loads if load and load.summary}
    assert len(uids) == 1


def test_a_load_reports_how_the_schema_evolved(
    offer: Any, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of the table's columns."""
    source, give = offer
    give([{"id": 1}])
    load(source)
    new = ["more", "size", "colour", "shape", "age", "kind", "price"]
    give([{"id": 2, **dict.fromkeys(new, "x")}])
    changes = load(source).schema_changes
    assert changes == {"items": dict.fromkeys(new, "text")}
    assert list(changes["items"]) == new
    assert "schema evolved" in capsys.readouterr().err


def test_a_contract_holds_for_rows_of_a_database(
    shop: Source, load: Load, database: Any, rows: Rows
) -> None:
    shop["schema_contract"] = "discard_value"
    load(shop)
    database.run("ALTER TABLE orders ADD COLUMN extra TEXT DEFAULT 'x'")
    database.run("UPDATE orders SET updated_at = '2025-01-01 00:00:00.000000' WHERE id = 1")
    result = load(shop)
    assert dict(result.resources["orders"].rejected.values_by_column) == {"extra": 1}
    shop["schema_contract"] = "freeze"
    database.run("UPDATE orders SET updated_at = '2025-02-01 00:00:00.000000' WHERE id = 1")
    with pytest.raises(SchemaContractViolation, match="'extra'"):
        load(shop)


def test_nested_tables_are_checked_against_the_contract(
    items: Source, load: Load, api: Any, rows: Rows
) -> None:
    items["schema_contract"] = "freeze"
    api.rows = [{"id": 1, "tags": [{"name": "a"}]}]
    load(items)
    api.rows = [{"id": 2, "tags": [{"name": "b"}]}]
    load(items)
    api.rows = [{"id": 3, "tags": [{"name": "c", "colour": "red"}]}]
    with pytest.raises(SchemaContractViolation, match="'colour'"):
        load(items)
    api.rows = [{"id": 3, "labels": [{"name": "c"}]}]
    with pytest.raises(SchemaContractViolation, match="'labels'"):
        load(items)
    assert len(rows("bronze.items__tags")) == 2


NESTED = [
    {"id": 1, "who": {"name": "Ada"}, "tags": [{"name": "a", "by": [{"id": 1}]}], "marks": [1, 2]},
]
NESTED_MIXED = [
    {"id": 2, "who": {"name": "Bob", "age": 7}, "tags": [], "marks": []},
    {"id": 3, "who": {}, "tags": [{"name": "b", "colour": "red"}, {"name": "c"}], "marks": [3]},
    {"id": 4, "tags": [{"name": "d", "by": [{"id": 5}, {"id": "who?"}]}], "labels": []},
    {"id": 5, "labels": ["new"], "marks": ["three", 4]},
    {"id": 6, "marks": ["six", 6]},
]


@pytest.fixture
def nested(items: Source, load: Load, api: Any) -> Source:
    """A source whose table has a column from a dict, and three tables from lists, by now."""
    api.page_size = 100
    api.rows = NESTED
    load(items)
    api.rows = NESTED_MIXED
    return items


def test_discard_value_counts_the_dropped_nested_values(
    nested: Source, load: Load, rows: Rows
) -> None:
    nested["schema_contract"] = "discard_value"
    result = load(nested)
    assert dict(result.resources["items"].rejected.values_by_column) == {
        "who__age": 1,
        "items__tags.colour": 1,
        "items__tags__by.id": 1,
        "labels": 1,
        "items__marks.value": 2,
    }
    assert result.table_rows == {
        "items": 5,
        "items__tags": 3,
        "items__tags__by": 2,
        "items__marks": 3,
    }
    assert [row["name"] for row in rows("bronze.items__tags")] == ["a", "b", "c", "d"]
    assert [row["who__name"] for row in rows("bronze.items")] == [
        "Ada",
        "Bob",
        None,
        None,
        None,
        None,
    ]


def test_discard_row_counts_and_keeps_nested_rows(nested: Source, load: Load, rows: Rows) -> None:
    """A nested row that does not fit is rejected alone, a root row with its nested rows."""
    import json

    nested |= {"schema_contract": "discard_row", "quarantine": True}
    result = load(nested)
    rejected = result.resources["items"].rejected
    assert dict(rejected.rows_by_reason) == {
        "column who__age is new": 1,
        "column items__tags.colour is new": 1,
        "column items__tags__by.id is bigint, not text": 1,
        "column labels is new": 1,
        "column items__marks.value is bigint, not text": 1,
    }
    assert result.table_rows["items"] == 3
    assert [row["id"] for row in rows("bronze.items")] == [1, 3, 4, 6]
    assert sorted(row["value"] for row in rows("bronze.items__marks")) == [1, 2, 3, 6]
    kept = {row["reason"]: json.loads(row["row"]) for row in rows("bronze.items__rejected")}
    assert len(kept) == 5
    assert kept["column items__tags.colour is new"] == {"name": "b", "colour": "red"}


def test_dlt_s_message_about_a_violation_is_shown_only_if_allowed(
    items: Source, load: Load, api: Any
) -> None:
    """Its own error names the row by the values of its key, which may be a person's address."""
    items |= {"schema_contract": "freeze", "primary_key": "id"}
    api.rows = [{"id": "ada@example.com", "tags": [{"name": "a"}]}]
    load(items)
    api.rows = [{"id": "grace@example.com", "tags": [{"name": "b", "colour": "dark red"}]}]
    for shown in (False, True):
        items["show_values"] = shown
        with pytest.raises(SchemaContractViolation) as failed:
            load(items)
        text = "".join(traceback.format_exception(failed.value))
        assert ("'dark red'" in text) is shown
        assert "grace@example.com" not in text
