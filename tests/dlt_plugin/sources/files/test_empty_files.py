"""Files without rows create the table with the columns whose type is known."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import SourceReadError

COLUMNS = {"id": "bigint", "amount": {"data_type": "decimal", "precision": 10, "scale": 2}}
CREATED = {"id": "long", "amount": "decimal(10, 2)"}


def types(table: str) -> dict[str, str]:
    """Return the types of a table's columns, dlt's own left out."""
    fields = open_catalog().load_table(table).schema().fields
    return {f.name: str(f.field_type) for f in fields if not f.name.startswith("_dlt_")}


def write(landing: Path, name: str, file_format: str, *, row: bool) -> None:
    """Write a file of the declared columns, with one row or none."""
    path = landing / f"{name}.{file_format}"
    if file_format == "csv":
        path.write_text("id,amount\n" + "1,1.50\n" * row)
    elif file_format == "jsonl":
        path.write_text('{"id": 1, "amount": "1.50"}\n' * row)
    else:
        schema = pa.schema({"id": pa.int64(), "amount": pa.decimal128(10, 2)})
        rows = [{"id": 1, "amount": Decimal("1.50")}] * row
        pq.write_table(pa.Table.from_pylist(rows, schema), path)


@pytest.mark.parametrize(
    ("file_format", "settings"),
    [
        ("csv", {"columns": COLUMNS}),
        ("csv", {"columns": COLUMNS, "write_mode": "merge", "primary_key": "id"}),
        ("csv", {"columns": COLUMNS, "write_mode": "replace"}),
        ("jsonl", {"columns": COLUMNS, "schema_contract": "freeze"}),
        ("jsonl", {"columns": COLUMNS, "cursor_field": "id"}),
        ("parquet", {}),
        ("parquet", {"write_mode": "merge", "primary_key": "id", "cursor_field": "id"}),
    ],
)
def test_a_file_without_rows_creates_the_table(
    files: Source,
    landing: Path,
    load: Load,
    rows: Rows,
    file_format: str,
    settings: dict[str, Any],
) -> None:
    source = {**configured(files, format=file_format, file_glob="*"), **settings}
    write(landing, "a", file_format, row=False)
    assert load(source).rows_loaded == 0
    assert types("bronze.items") == CREATED
    write(landing, "b", file_format, row=False)
    assert load(source).rows_loaded == 0
    write(landing, "c", file_format, row=True)
    assert load(source).rows_loaded == 1
    assert rows("bronze.items") == [{"id": 1, "amount": Decimal("1.50")}]


def test_only_columns_whose_type_is_known_are_created(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    """A guess would be the type of the column for good."""
    (landing / "a.csv").write_text("id,at,name\n")
    source = {**configured(files, file_name_column="file"), "columns": {"at": "date"}}
    load(source)
    assert types("bronze.items") == {"at": "date", "file": "string"}
    (landing / "b.csv").write_text("id,at,name\n7,,x\n")
    load(source)
    assert rows("bronze.items") == [{"at": None, "file": "b.csv", "id": 7, "name": "x"}]


def test_rows_without_any_value_have_the_columns_of_a_later_file(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,name\n,\n,\n")
    (landing / "b.csv").write_text("id\n1\n")
    assert load(files).rows_loaded == 3
    assert [row["id"] for row in rows("bronze.items")] == [1, None, None]


def test_rows_without_any_value_in_the_first_load_need_a_column(
    files: Source, landing: Path, load: Load, rows: Rows, tables: Callable[[], set[str]]
) -> None:
    """They would be counted as loaded, and the table be missing."""
    (landing / "a.csv").write_text("id,name\n,\n")
    source = {**files, "add_load_id": False}
    with pytest.raises(SourceReadError, match=r"none of the columns has a value.*declare"):
        load(source)
    assert tables() == set()
    load({**source, "columns": {"name": "text"}})
    assert rows("bronze.items") == [{"name": None}]


def test_the_id_of_the_load_is_a_column_of_files_without_types(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,name\n")
    load(files)
    assert types("bronze.items") == {}
    (landing / "b.csv").write_text("id,name\n,\n")
    assert load(files).rows_loaded == 1
    (landing / "c.csv").write_text("id,name\n1,x\n")
    load(files)
    found = sorted(rows("bronze.items"), key=lambda row: row["id"] or 0)
    assert found == [{"id": None, "name": None}, {"id": 1, "name": "x"}]
