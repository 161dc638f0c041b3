"""The columns of files have the types that are declared, or one that fits all files."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.dlt_plugin import SourceReadError


def test_the_type_of_a_column_with_two_underscores_is_remembered(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,part__code\n1,x\n")
    load(files)
    (landing / "b.csv").write_text("id,part__code\n2,007\n")
    load(files)
    assert [row["part__code"] for row in rows("bronze.items")] == ["x", "007"]


def test_json_names_that_dlt_normalizes_are_read_again(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    """Arrow adds the columns of the table, which a file has by another name."""
    source = configured(files, format="jsonl", file_glob="*.jsonl")
    for number, row in enumerate(
        ({"OrderID": 1}, {"OrderID": 2}, {"order_id": 3}, {"OrderID": None, "n": 4})
    ):
        (landing / f"{number}.jsonl").write_text(json.dumps(row) + "\n")
        load(source)
    assert [row["order_id"] for row in rows("bronze.items")] == [1, 2, 3, None]


def test_null_tokens_are_missing_values_and_numbers_are_numbers(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,delay,name,share\n1,NA,NA,0.5\n2,-3,x,NA\n")
    load(configured(files, null_values=["NA"]))
    assert rows("bronze.items") == [
        {"id": 1, "delay": None, "name": None, "share": 0.5},
        {"id": 2, "delay": -3, "name": "x", "share": None},
    ]


def test_declared_types_take_precedence_over_inferred_ones(
    files: Source, landing: Path, load: Load, table: Callable[[str], pa.Table]
) -> None:
    (landing / "a.csv").write_text(
        "zip,amount,at,local,day\n"
        "00501,1.10,2024-01-01T12:00:00+02:00,2024-01-01 12:00:00,2024-01-01\n"
    )
    columns = {
        "zip": "text",
        "amount": {"data_type": "decimal", "precision": 10, "scale": 2},
        "at": "timestamp",
        "local": {"data_type": "timestamp", "timezone": False},
        "day": "date",
    }
    load({**files, "columns": columns})
    loaded = table("bronze.items")
    assert loaded["zip"].to_pylist() == ["00501"]
    assert loaded.schema.field("amount").type == pa.decimal128(10, 2)
    assert loaded.schema.field("day").type == pa.date32()
    assert loaded.schema.field("local").type == pa.timestamp("us")
    assert loaded["at"].to_pylist()[0] == datetime(2024, 1, 1, 10, tzinfo=UTC)


def test_a_timestamp_without_a_time_zone_is_read_as_utc_where_one_is_declared(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("at\n2024-01-01 12:00:00\n")
    load({**files, "columns": {"at": "timestamp"}})
    assert rows("bronze.items")[0]["at"] == datetime(2024, 1, 1, 12, tzinfo=UTC)


def test_a_timestamp_with_a_time_does_not_fit_a_column_of_dates(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    """Arrow would drop the time silently."""
    source = {**configured(files, format="jsonl", file_glob="*"), "columns": {"day": "date"}}
    (landing / "a.jsonl").write_text('{"day": "2024-01-02"}\n')
    load(source)
    (landing / "b.jsonl").write_text('{"day": "2024-01-02T00:00:01"}\n')
    with pytest.raises(SourceReadError, match=r"b\.jsonl: column 'day'.*date32"):
        load(source)
    assert rows("bronze.items") == [{"day": date(2024, 1, 2)}]


def test_a_column_empty_in_one_file_gets_its_type_from_another(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,gate\n1,\n")
    (landing / "b.csv").write_text("id,gate\n2,7\n")
    load(files)
    (landing / "c.csv").write_text("id,gate\n3,\n")
    load(files)
    assert [row["gate"] for row in rows("bronze.items")] == [None, 7, None]


def test_a_column_empty_at_the_start_of_a_long_file_keeps_its_type(
    files: Source, landing: Path, load: Load, table: Callable[[str], pa.Table]
) -> None:
    lines = [f"{number},{'' if number < 20000 else number}\n" for number in range(40000)]
    (landing / "a.csv").write_text("id,late\n" + "".join(lines))
    result = load(configured(files, block_size=65536))
    assert result.rows_loaded == 40000
    late = table("bronze.items")["late"]
    assert late.null_count == 20000
    assert late[-1].as_py() == 39999


def test_columns_absent_in_a_file_and_new_in_another_are_null_elsewhere(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,old\n1,x\n")
    load(files)
    (landing / "b.csv").write_text("new,id\n5,2\n")
    load(files)
    assert rows("bronze.items") == [
        {"id": 1, "old": "x", "new": None},
        {"id": 2, "old": None, "new": 5},
    ]


def test_types_of_the_table_apply_to_later_files(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,share\n1,0.5\n")
    load(files)
    (landing / "b.csv").write_text("id,share\n2,1\n")
    load(files)
    assert [row["share"] for row in rows("bronze.items")] == [0.5, 1.0]


def test_no_columns_are_added(files: Source, landing: Path, load: Load, tmp_path: Path) -> None:
    from floe_ingestion_defs.destinations import open_catalog

    (landing / "a.csv").write_text("id\n1\n")
    load(files)
    schema = open_catalog().load_table("bronze.items").schema()
    assert [field.name for field in schema.fields] == ["id", "_dlt_load_id"]


def test_the_file_name_column_is_added_if_configured(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "2024").mkdir()
    (landing / "2024" / "a.csv").write_text("id\n1\n")
    load(configured(files, file_name_column="file"))
    assert rows("bronze.items") == [{"id": 1, "file": "2024/a.csv"}]


def test_the_file_name_column_is_added_to_json_lines_in_every_load(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    source = configured(files, file_name_column="file", format="jsonl", file_glob="*.jsonl")
    for name in "ab":
        (landing / f"{name}.jsonl").write_text('{"id": 1}\n')
        load(source)
    assert sorted(row["file"] for row in rows("bronze.items")) == ["a.jsonl", "b.jsonl"]
    (landing / "c.jsonl").write_text('{"id": 1, "file": "mine"}\n')
    with pytest.raises(SourceReadError, match=r"c\.jsonl: the file has a column 'file'"):
        load(source)


def test_empty_files_have_no_rows(files: Source, landing: Path, load: Load) -> None:
    (landing / "a.csv").write_text("")
    (landing / "b.csv").write_text("id,name\n")
    (landing / "c.csv").write_text("id,name\n1,x")
    assert load(files).rows_loaded == 1
    assert load(files).rows_loaded == 0


def test_another_encoding_and_delimiter_are_read(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_bytes("id;name\n1;Zürich\n".encode("latin-1"))
    load(configured(files, encoding="latin-1", delimiter=";"))
    assert rows("bronze.items") == [{"id": 1, "name": "Zürich"}]


def test_files_with_several_encodings_are_loaded_by_one_source_per_encoding(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_bytes("\ufeffid,name\n1,Zürich\n".encode())
    (landing / "b.latin").write_bytes("id,name\n2,Zürich\n".encode("latin-1"))
    (landing / "c.wide").write_bytes("id,name\n3,Zürich\n".encode("utf-16"))
    load(files)
    for glob, encoding in (("*.latin", "latin-1"), ("*.wide", "utf-16")):
        other = {**files, "name": encoding.replace("-", "")}
        load(configured(other, file_glob=glob, encoding=encoding))
    assert rows("bronze.items") == [{"id": id_, "name": "Zürich"} for id_ in (1, 2, 3)]


def test_values_with_line_breaks_are_read_with_newlines_in_values(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text('id,note\n1,"two\nlines"\n2,one\n')
    load(configured(files, newlines_in_values=True))
    assert [row["note"] for row in rows("bronze.items")] == ["two\nlines", "one"]


def test_compressed_files_are_read(files: Source, landing: Path, load: Load, rows: Rows) -> None:
    (landing / "a.csv.gz").write_bytes(gzip.compress(b"id\n1\n"))
    with (
        pa.OSFile(str(landing / "b.csv.zst"), "wb") as file,
        pa.CompressedOutputStream(file, "zstd") as stream,
    ):
        stream.write(b"id\n2\n")
    load(configured(files, file_glob="*.csv.*"))
    assert rows("bronze.items") == [{"id": 1}, {"id": 2}]


def test_json_lines_are_read_with_nested_values_as_json(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    lines = [
        {"id": 1, "at": "2024-01-01T12:00:00+02:00", "tags": ["a"], "share": 1},
        {"id": 2, "name": "y", "share": 0.5},
    ]
    (landing / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    load(configured(files, file_glob="*.jsonl", format="jsonl"))
    first, second = rows("bronze.items")
    assert first["at"] == datetime(2024, 1, 1, 10, tzinfo=UTC)
    assert json.loads(first["tags"]) == ["a"]
    assert (first["share"], second["share"], second["name"]) == (1.0, 0.5, "y")


def test_nested_values_are_json_in_every_file_and_every_load(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    """Also where the table, or an earlier file, says that the column is text."""
    lines = configured(files, file_glob="*.jsonl", format="jsonl")
    (landing / "a.jsonl").write_text('{"id": 1, "tags": ["a"]}\n')
    (landing / "b.jsonl").write_text('{"id": 2, "tags": {"b": 1}}\n')
    load(lines)
    (landing / "c.jsonl").write_text('{"id": 3, "tags": ["c"]}\n{"id": 4, "tags": "d"}\n')
    (landing / "d.jsonl").write_text('{"id": 5, "tags": 7}\n')
    load(lines)
    tags = {row["id"]: row["tags"] for row in rows("bronze.items")}
    assert tags == {1: '["a"]', 2: '{"b":1}', 3: '["c"]', 4: "d", 5: "7"}


def test_parquet_files_of_different_widths_make_one_table(
    files: Source, landing: Path, load: Load, table: Callable[[str], pa.Table]
) -> None:
    small = pa.table(
        {
            "id": pa.array([1], pa.int32()),
            "name": pa.array(["x"], pa.string_view()),
            "share": pa.array([0.5], pa.float32()),
            "at": pa.array([datetime(2024, 1, 1)], pa.timestamp("ns")),
            "kind": pa.array(["k"]).dictionary_encode(),
        }
    )
    pq.write_table(small, landing / "a.parquet")
    pq.write_table(pa.table({"id": pa.array([2], pa.int64())}), landing / "b.parquet")
    load(configured(files, file_glob="*.parquet", format="parquet"))
    loaded = table("bronze.items")
    assert loaded["id"].to_pylist() == [1, 2]
    assert loaded.schema.field("id").type == pa.int64()
    assert loaded.schema.field("share").type == pa.float64()
    assert loaded["kind"].to_pylist() == ["k", None]
    # dlt reads what has no time zone as UTC, unless a column is declared to have none.
    assert loaded["at"].to_pylist()[0] == datetime(2024, 1, 1, tzinfo=UTC)
