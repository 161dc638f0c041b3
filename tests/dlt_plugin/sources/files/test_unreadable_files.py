"""A file that cannot be read fails the load, with its name, line and remedy."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.dlt_plugin import SourceReadError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,name\n1,x\n2\n", ["a.csv", "line 3", "Expected 2 columns, got 1"]),
        ("id,name\n\n1,x\n2,y,z\n", ["a.csv", "line 4", "got 3"]),
        ("id,id\n1,2\n", ["a.csv", "line 1", "'id'", "more than once"]),
        ("id,amount\n1,2\n2,lots\n", ["a.csv", "line 3", "'amount'", "declare"]),
    ],
)
def test_a_broken_file_fails_with_its_name_and_the_line(
    files: Source,
    landing: Path,
    load: Load,
    tables: Callable[[], set[str]],
    text: str,
    says: list[str],
) -> None:
    (landing / "a.csv").write_text(text)
    with pytest.raises(SourceReadError) as failed:
        load({**files, "columns": {"amount": "bigint"}})
    for part in [*says, "files", "bronze.items"]:
        assert part in str(failed.value)
    assert tables() == set()


def test_a_parquet_file_with_two_columns_of_one_name_fails(
    files: Source, landing: Path, load: Load, tables: Callable[[], set[str]]
) -> None:
    """It would be loaded, and the table be unreadable from then on."""
    two = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["id", "a", "a"])
    pq.write_table(two, landing / "a.parquet")
    with pytest.raises(SourceReadError, match=r"a\.parquet.*column 'a' occurs more than once"):
        load(configured(files, format="parquet", file_glob="*.parquet"))
    assert tables() == set()


def test_an_error_about_a_file_shows_none_of_its_values(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "a.csv").write_text("id,amount\n1,secret-value\n")
    with pytest.raises(SourceReadError) as failed:
        load({**files, "columns": {"amount": "bigint"}})
    assert "secret-value" not in str(failed.value)
    (landing / "a.csv").write_text("id,amount\nsecret-value\n")
    with pytest.raises(SourceReadError) as failed:
        load(files)
    assert "secret-value" not in str(failed.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,amount\n1,lots\n", "line 2: column 'amount': .* invalid value 'lots'"),
        ("id,amount\n1,2,3\n", "line 2: Expected 2 columns, got 3: 1,2,3"),
    ],
)
def test_an_error_about_a_file_shows_values_where_that_is_allowed(
    files: Source, landing: Path, load: Load, text: str, says: str
) -> None:
    (landing / "a.csv").write_text(text)
    with pytest.raises(SourceReadError, match=says):
        load({**files, "columns": {"amount": "bigint"}, "show_values": True})


@pytest.mark.parametrize(
    ("data", "options", "columns", "says"),
    [
        (b"id,name\n1,Z\xc3\xbcrich\n2,Z\xfcrich\n", {}, {}, "line 3: column 'name'"),
        (b"id,name\n1,Z\xc3\xbcrich\n2,Z\xfcrich\n", {}, {"name": "text"}, "line 3"),
        (b"id,n\xfcmber\n1,2\n", {}, {}, "line 1"),
        (b'{"id": 1}\n{"id": 2, "name": "Z\xfcrich"}\n', {"format": "jsonl"}, {}, "line 2"),
    ],
)
def test_text_in_another_encoding_is_rejected_with_line_and_remedy(
    files: Source,
    landing: Path,
    load: Load,
    data: bytes,
    options: dict[str, Any],
    columns: dict[str, Any],
    says: str,
) -> None:
    (landing / "a.csv").write_bytes(data)
    with pytest.raises(SourceReadError, match=r"UTF-?8.*encoding") as failed:
        load({**configured(files, **options), "columns": columns})
    assert f"a.csv: {says}" in str(failed.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('id,name\n1,x\n2,"open\n3,y\n', "line 3.*newlines_in_values"),
        ("id,name\r1,x\r2,y\r", "line 1.*carriage return.*newlines_in_values"),
    ],
)
def test_a_file_of_which_rows_would_be_lost_is_rejected(
    files: Source, landing: Path, load: Load, rows: Rows, text: str, says: str
) -> None:
    """An open quote absorbs lines, and text without line feeds looks like a header only."""
    (landing / "a.csv").write_bytes(text.encode())
    with pytest.raises(SourceReadError, match=says):
        load(files)
    (landing / "a.csv").write_bytes(text.replace('"open', '"open"').encode())
    load(configured(files, newlines_in_values=True))
    assert [row["id"] for row in rows("bronze.items")][:2] == [1, 2]


def test_a_truncated_compressed_file_fails_with_its_name(
    files: Source, landing: Path, load: Load
) -> None:
    text = "id\n" + "".join(f"{number}\n" for number in range(10000))
    (landing / "a.csv.gz").write_bytes(gzip.compress(text.encode())[:-500])
    with pytest.raises(SourceReadError, match=r"a\.csv\.gz"):
        load(configured(files, file_glob="*.csv.gz"))


def test_a_broken_json_line_fails_with_its_name_and_the_line(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "a.jsonl").write_text('{"id": 1}\n\n{"id": \n')
    with pytest.raises(SourceReadError, match=r"a\.jsonl: line 3"):
        load(configured(files, file_glob="*.jsonl", format="jsonl"))


def test_a_json_line_that_is_not_an_object_fails_with_its_line(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "a.jsonl").write_text('{"id": 1}\n[1, 2]\n')
    with pytest.raises(SourceReadError, match=r"a\.jsonl: line 2: not a JSON object"):
        load(configured(files, file_glob="*.jsonl", format="jsonl"))


def test_a_file_that_is_not_parquet_fails_with_its_name(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "a.parquet").write_text("no parquet at all")
    with pytest.raises(SourceReadError, match=r"a\.parquet"):
        load(configured(files, file_glob="*.parquet", format="parquet"))


def test_a_type_that_does_not_fit_the_table_fails_with_column_and_types(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    parquet = configured(files, file_glob="*.parquet", format="parquet")
    pq.write_table(pa.table({"id": [1]}), landing / "a.parquet")
    load(parquet)
    pq.write_table(pa.table({"id": ["one"]}), landing / "b.parquet")
    with pytest.raises(SourceReadError, match=r"b\.parquet.*'id'.*string.*int64"):
        load(parquet)
    assert rows("bronze.items") == [{"id": 1}]
