"""Excel files are read by sheet, with the types of their cells."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import SourceReadError

Cells = list[list[Any]]
HEADER = ["id", "share", "paid", "at", "opens", "name", "mixed"]
FIRST = [1, 0.5, True, datetime(2024, 1, 2, 3, 4), time(8, 30), "x", 7]
SECOND = [2, 3, None, datetime(2024, 1, 3), None, "007", "seven"]


@pytest.fixture
def sheets(files: Source) -> Source:
    """The landing folder's Excel files."""
    return configured(files, format="excel", file_glob="*.xlsx")


@pytest.fixture
def write(landing: Path) -> Callable[..., None]:
    """Writes a file with the cells of each sheet."""

    def write(name: str, **sheets: Cells) -> None:
        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        for title, cells in sheets.items():
            sheet = book.create_sheet(title)
            for row in cells:
                sheet.append(row)
        book.save(landing / name)

    return write


def test_cells_have_their_types(
    sheets: Source, write: Callable[..., None], load: Load, rows: Rows
) -> None:
    write("a.xlsx", orders=[HEADER, FIRST, [], SECOND])
    assert load(sheets).rows_loaded == 2
    fields = open_catalog().load_table("bronze.items").schema().fields
    types = {f.name: str(f.field_type) for f in fields if not f.name.startswith("_dlt_")}
    assert types == {
        "id": "long",
        "share": "double",
        "paid": "boolean",
        "at": "timestamptz",
        "opens": "time",
        "name": "string",
        "mixed": "string",
    }
    first, second = rows("bronze.items")
    assert first["at"] == datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
    assert (first["share"], second["share"], second["name"]) == (0.5, 3.0, "007")
    assert (first["mixed"], second["mixed"], first["opens"]) == ("7", "seven", time(8, 30))


def test_sheet_header_row_and_missing_values_are_configured(
    sheets: Source, write: Callable[..., None], load: Load, rows: Rows
) -> None:
    report: Cells = [["Report of 2024"], [], ["id", "amount", None], [1, "n/a"], [2, 5]]
    write("a.xlsx", cover=[["nothing"]], data=report)
    source = configured(sheets, sheet_name="data", header_row=3, null_values=["n/a"])
    load({**source, "columns": {"id": "text"}})
    assert rows("bronze.items") == [{"id": "1", "amount": None}, {"id": "2", "amount": 5}]
    write("b.xlsx", data=[[], [], [3, 6]])
    load(configured(source, column_names=["id", "amount"], file_glob="b.xlsx"))
    assert [row["amount"] for row in rows("bronze.items")] == [None, 5, 6]


def test_batches_have_one_type_per_column(
    sheets: Source, write: Callable[..., None], load: Load, rows: Rows
) -> None:
    write("a.xlsx", data=[["id", "late"], *([n, None if n < 30 else n / 2] for n in range(60))])
    load(configured(sheets, batch_rows=7))
    assert [row["late"] for row in rows("bronze.items")][29:32] == [None, 15.0, 15.5]


def test_a_date_is_a_date_where_one_is_declared(
    sheets: Source, write: Callable[..., None], load: Load, rows: Rows
) -> None:
    dated = {**sheets, "columns": {"day": "date"}}
    write("a.xlsx", data=[["day"], [datetime(2024, 1, 2)]])
    load(dated)
    assert rows("bronze.items") == [{"day": date(2024, 1, 2)}]
    write("b.xlsx", data=[["day"], [datetime(2024, 1, 2)], [datetime(2024, 1, 2, 3)]])
    with pytest.raises(SourceReadError, match=r"b\.xlsx: row 3: column 'day': a value does not"):
        load(dated)


def test_an_empty_sheet_creates_the_table_with_declared_columns(
    sheets: Source, write: Callable[..., None], load: Load, tables: Callable[[], set[str]]
) -> None:
    write("a.xlsx", data=[["id", "name"]])
    write("b.xlsx", data=[])
    assert load({**sheets, "columns": {"id": "bigint"}}).rows_loaded == 0
    assert tables() == {"bronze.items"}


@pytest.mark.parametrize(
    ("cells", "options", "says"),
    [
        (
            [["id"], [1], ["secret"]],
            {},
            "row 3: column 'id': a value does not fit a column of int64",
        ),
        ([["id", None], [1, None], [2, "secret"]], {}, "row 3: a value in column 2, which has no"),
        ([["id", "id"], [1, 2]], {}, "column 'id' occurs more than once in the header, row 1"),
        ([[7, "secret"], [8, "x"]], {}, "no name in the header, row 1, is a column of the table"),
        ([["id"], [1]], {"sheet_name": "orders"}, "has no sheet 'orders'; its sheets: 'data'"),
    ],
)
def test_a_sheet_that_cannot_be_read_fails_with_row_and_remedy(
    sheets: Source,
    write: Callable[..., None],
    load: Load,
    rows: Rows,
    cells: Cells,
    options: dict[str, Any],
    says: str,
) -> None:
    write("a.xlsx", data=[["id"], [0]])
    load(sheets)
    write("b.xlsx", data=cells)
    with pytest.raises(SourceReadError, match=r"b\.xlsx: .*") as failed:
        load(configured(sheets, file_glob="b.xlsx", **options))
    assert says in str(failed.value)
    assert "secret" not in str(failed.value)
    assert rows("bronze.items") == [{"id": 0}]


def test_a_file_that_is_not_an_excel_file_fails_with_its_name(
    sheets: Source, landing: Path, load: Load
) -> None:
    (landing / "a.xlsx").write_text("id\n1\n")
    with pytest.raises(SourceReadError, match=r"a\.xlsx: not a valid Excel file"):
        load(sheets)
