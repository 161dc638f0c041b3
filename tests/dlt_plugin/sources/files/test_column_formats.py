"""Dates and numbers of CSV in the formats of other countries."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.dlt_plugin import PipelineConfigurationError, SourceReadError


@pytest.fixture
def german(files: Source) -> Source:
    """The landing folder's files, with dates and numbers as they are written in German."""
    formats = {"day": "%d.%m.%Y", "At Time": "%d.%m.%Y %H:%M"}
    return configured(files, delimiter=";", date_formats=formats, decimal_comma=["price", "rate"])


def test_dates_and_numbers_have_the_types_of_their_formats(
    german: Source, landing: Path, load: Load, table: Callable[[str], pa.Table]
) -> None:
    (landing / "a.csv").write_text(
        "id;day;At Time;price;rate\n"
        "1;31.12.2023;01.02.2024 03:04;1.234,56;-0,5\n"
        "2;1.2.2024;;-7;,25\n"
        "3;;01.02.2024 03:05;1234,5;1.000.000\n"
    )
    price = {"data_type": "decimal", "precision": 10, "scale": 2}
    load({**german, "columns": {"price": price}})
    loaded = table("bronze.items")
    assert loaded["day"].to_pylist() == [date(2023, 12, 31), date(2024, 2, 1), None]
    assert loaded["at_time"].to_pylist()[0] == datetime(2024, 2, 1, 3, 4, tzinfo=UTC)
    assert loaded["price"].to_pylist() == [Decimal("1234.56"), Decimal(-7), Decimal("1234.50")]
    assert loaded["rate"].to_pylist() == [-0.5, 0.25, 1_000_000.0]
    assert loaded.schema.field("day").type == pa.date32()


def test_later_files_and_declared_types_decide_on_the_type(
    german: Source, landing: Path, load: Load, rows: Rows
) -> None:
    source = {**german, "columns": {"day": "timestamp", "price": "bigint"}}
    (landing / "a.csv").write_text("day;at_time;price;rate\n01.02.2024;01.02.2024 00:00;1.000;1\n")
    load(source)
    (landing / "b.csv").write_text("day;at_time;price;rate\n02.02.2024;;2.000;0,5\n")
    load(source)
    assert [row["price"] for row in rows("bronze.items")] == [1000, 2000]
    assert rows("bronze.items")[1]["day"] == datetime(2024, 2, 2, tzinfo=UTC)
    (landing / "c.csv").write_text("day;at_time;price;rate\n02.02.2024;;2,5;1\n")
    with pytest.raises(SourceReadError, match=r"c\.csv: column 'price'"):
        load(source)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("31.02.2024;1", "line 3: column 'day': a value does not match the date format"),
        ("2024-02-01;1", "line 3: column 'day': a value does not match the date format"),
        ("01.02.2024;1.5", "line 3: column 'price': a value is not a number with a decimal comma"),
        ("01.02.2024;9.007.199.254.740.993", "line 3: column 'price': an integer has more digits"),
    ],
)
def test_a_value_in_another_format_fails_with_line_and_column(
    files: Source, landing: Path, load: Load, row: str, says: str
) -> None:
    source = configured(
        files, delimiter=";", date_formats={"day": "%d.%m.%Y"}, decimal_comma=["price"]
    )
    (landing / "a.csv").write_text(f"day;price\n01.02.2024;1\n{row}\n")
    with pytest.raises(SourceReadError, match=rf"a\.csv: {says}") as failed:
        load(source)
    assert row.split(";")[0] not in str(failed.value)
    if "integer" not in says:
        with pytest.raises(
            SourceReadError, match=r"'(31\.02\.2024|2024-02-01|1\.5)' (does|is) not"
        ):
            load({**source, "show_values": True})


def test_a_contract_rejects_the_rows_in_another_format_alone(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    source = configured(
        files, delimiter=";", date_formats={"day": "%d.%m.%Y"}, decimal_comma=["price"]
    )
    columns = {"day": "date", "price": "double"}
    (landing / "a.csv").write_text("day;price\n01.02.2024;1,5\n31.02.2024;2,5\n03.02.2024;3.5\n")
    contract = {"schema_contract": "discard_row", "columns": columns}
    result = load({**source, **contract})
    assert result.resources["items"].rejected.rows == 2
    assert rows("bronze.items") == [{"day": date(2024, 2, 1), "price": 1.5}]


def test_a_format_of_a_column_that_does_not_exist_is_an_error(
    files: Source, landing: Path, load: Load, tables: Callable[[], set[str]]
) -> None:
    (landing / "a.csv").write_text("id,day\n1,2\n")
    with pytest.raises(PipelineConfigurationError, match=r"decimal_comma names column 'prize'"):
        load(configured(files, decimal_comma=["prize"]))
    assert tables() == set()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"date_formats": {"day": "DD.MM.YYYY"}}, "'DD.MM.YYYY' is not a valid format of dates"),
        ({"date_formats": {"day": "%d.%m."}}, "directives for year, month and day"),
        ({"date_formats": {"day": "%d.%m.%Y %I:%M"}}, "lacks %p"),
        (
            {"date_formats": {"day": "%d.%m.%Y"}, "format": "jsonl"},
            "date_formats is for format: csv",
        ),
        ({"date_formats": {"day": "%d.%m.%Y"}, "decimal_comma": ["day"]}, "column 'day' is both"),
    ],
)
def test_a_format_that_cannot_be_is_an_error_of_the_configuration(
    files: Source, load: Load, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        load(configured(files, **options))
