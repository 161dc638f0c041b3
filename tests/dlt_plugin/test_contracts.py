"""Schema contracts mean the same for rows from files, databases and APIs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


def test_evolve_takes_new_columns_over(offer: Any, load: Load, rows: Rows) -> None:
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


def test_discard_value_leaves_the_new_column_out(offer: Any, load: Load, rows: Rows) -> None:
    source, give = offer
    source |= {"schema_contract": "discard_value", "columns": {"id": "bigint"}}
    give([{"id": 1, "more": "x"}])
    load(source)
    assert rows("bronze.items") == [{"id": 1}]


def test_discard_row_leaves_the_row_out(offer: Any, load: Load, rows: Rows) -> None:
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
