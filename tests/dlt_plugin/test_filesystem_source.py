"""Files are loaded once each, with the types that are declared, and fail by name and line."""

import gzip
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from floe_ingestion_defs.dlt_plugin import LoadResult, SourceConnectionError, SourceReadError

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]


def configured(source: Source, **options: Any) -> Source:
    return {**source, "source_config": {**source["source_config"], **options}}


def test_a_file_is_loaded_once(files: Source, landing: Path, load: Load, rows: Rows) -> None:
    (landing / "a.csv").write_text("id,name\n1,x\n")
    assert load(files).rows_loaded == 1
    again = load(files)
    assert again.rows_loaded == 0
    assert again.load_ids == []
    (landing / "b.csv").write_text("id,name\n2,y\n")
    assert load(files).rows_loaded == 1
    assert rows("bronze.items") == [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]


def test_a_file_that_lands_late_with_an_old_time_is_loaded(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "b.csv").write_text("id\n1\n")
    load(files)
    (landing / "a.csv").write_text("id\n2\n")
    os.utime(landing / "a.csv", (0, 0))
    assert load(files).rows_loaded == 1


def test_files_of_one_time_are_all_loaded(files: Source, landing: Path, load: Load) -> None:
    for name in "abc":
        (landing / f"{name}.csv").write_text(f"id\n{ord(name)}\n")
        os.utime(landing / f"{name}.csv", (1, 1))
        assert load(files).rows_loaded == 1


def test_a_changed_file_is_loaded_again(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    merged = {**files, "write_mode": "merge", "primary_key": "id"}
    (landing / "a.csv").write_text("id,name\n1,x\n")
    load(merged)
    (landing / "a.csv").write_text("id,name\n1,changed\n2,y\n")
    assert load(merged).rows_loaded == 2
    assert rows("bronze.items") == [{"id": 1, "name": "changed"}, {"id": 2, "name": "y"}]


def test_a_file_is_forgotten_once_it_is_gone(files: Source, landing: Path, load: Load) -> None:
    landed = landing / "a.csv"
    landed.write_text("id\n1\n")
    os.utime(landed, (1, 1))
    load(files)
    landed.unlink()
    load(files)
    landed.write_text("id\n1\n")
    os.utime(landed, (1, 1))
    assert load(files).rows_loaded == 1


def test_a_failed_load_leaves_its_files_to_the_next(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,name\n1,x\n")
    (landing / "b.csv").write_text("id,name\n2,y,too many\n")
    with pytest.raises(SourceReadError):
        load(files)
    (landing / "b.csv").write_text("id,name\n2,y\n")
    assert load(files).rows_loaded == 2
    assert len(rows("bronze.items")) == 2


def test_replace_reads_all_files_every_time(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    replaced = {**files, "write_mode": "replace"}
    (landing / "a.csv").write_text("id\n1\n")
    load(replaced)
    (landing / "b.csv").write_text("id\n2\n")
    assert load(replaced).rows_loaded == 2
    assert rows("bronze.items") == [{"id": 1}, {"id": 2}]


def test_null_tokens_are_missing_values_and_numbers_are_numbers(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,delay,name,share\n1,NA,NA,0.5\n2,-3,x,NA\n")
    load(configured(files, null_values=["NA"]))
    assert rows("bronze.items") == [
        {"id": 1, "delay": None, "name": None, "share": 0.5},
        {"id": 2, "delay": -3, "name": "x", "share": None},
    ]


def test_declared_types_win_over_what_values_look_like(
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


def test_a_timestamp_without_a_zone_is_taken_as_utc_where_a_zone_is_declared(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("at\n2024-01-01 12:00:00\n")
    load({**files, "columns": {"at": "timestamp"}})
    assert rows("bronze.items")[0]["at"] == datetime(2024, 1, 1, 12, tzinfo=UTC)


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


def test_types_of_the_table_hold_for_later_files(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,share\n1,0.5\n")
    load(files)
    (landing / "b.csv").write_text("id,share\n2,1\n")
    load(files)
    assert [row["share"] for row in rows("bronze.items")] == [0.5, 1.0]


def test_no_columns_are_added(files: Source, landing: Path, load: Load, tmp_path: Path) -> None:
    from floe_ingestion_defs.destinations.iceberg.catalog import open_catalog

    (landing / "a.csv").write_text("id\n1\n")
    load(files)
    schema = open_catalog().load_table("bronze.items").schema()
    assert [field.name for field in schema.fields] == ["id"]


def test_the_files_name_is_added_where_it_is_asked_for(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "2024").mkdir()
    (landing / "2024" / "a.csv").write_text("id\n1\n")
    load(configured(files, file_name_column="file"))
    assert rows("bronze.items") == [{"id": 1, "file": "2024/a.csv"}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,name\n1,x\n2\n", ["a.csv", "line 3", "Expected 2 columns, got 1"]),
        ("id,name\n\n1,x\n2,y,z\n", ["a.csv", "line 4", "got 3"]),
        ("id,id\n1,2\n", ["a.csv", "line 1", "'id'", "twice"]),
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


def test_empty_files_hold_no_rows(files: Source, landing: Path, load: Load) -> None:
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


def test_text_that_is_not_utf8_is_refused_with_the_way_out(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "a.csv").write_bytes("id,name\n1,Zürich\n".encode("latin-1"))
    with pytest.raises(SourceReadError, match=r"a\.csv.*encoding"):
        load(files)


def test_values_with_line_ends_are_read_where_they_are_announced(
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


def test_a_truncated_compressed_file_fails_with_its_name(
    files: Source, landing: Path, load: Load
) -> None:
    text = "id\n" + "".join(f"{number}\n" for number in range(10000))
    (landing / "a.csv.gz").write_bytes(gzip.compress(text.encode())[:-500])
    with pytest.raises(SourceReadError, match=r"a\.csv\.gz"):
        load(configured(files, file_glob="*.csv.gz"))


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


def test_a_broken_json_line_fails_with_its_name_and_the_line(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "a.jsonl").write_text('{"id": 1}\n\n{"id": \n')
    with pytest.raises(SourceReadError, match=r"a\.jsonl: line 3"):
        load(configured(files, file_glob="*.jsonl", format="jsonl"))


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
    # dlt takes what has no zone as UTC, unless a column is declared to have none.
    assert loaded["at"].to_pylist()[0] == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_file_that_is_no_parquet_fails_with_its_name(
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


def test_a_cursor_over_files_lets_only_newer_rows_through(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    by_day = {**files, "cursor_field": "day", "columns": {"day": "date"}}
    (landing / "a.csv").write_text("id,day\n1,2024-01-01\n2,2024-01-02\n")
    load(by_day)
    (landing / "b.csv").write_text("id,day\n1,2024-01-01\n2,2024-01-02\n3,2024-01-03\n")
    load(by_day)
    assert [row["id"] for row in rows("bronze.items")] == [1, 2, 3]


def test_a_missing_folder_is_a_source_that_cannot_be_reached(files: Source, load: Load) -> None:
    with pytest.raises(SourceConnectionError, match="nowhere"):
        load(configured(files, bucket_url="nowhere"))


def test_a_folder_without_files_loads_nothing(files: Source, load: Load) -> None:
    result = load(files)
    assert result.success
    assert result.rows_loaded == 0
    assert result.resources["items"].total_rows == 0


def test_ten_thousand_small_files_are_remembered_in_little_state(landing: Path) -> None:
    from fsspec.implementations.local import LocalFileSystem

    from floe_ingestion_defs.dlt_plugin.sources.file_listing import LoadedFiles, list_files

    for number in range(10_000):
        (landing / f"{number}.csv").touch()
    state: dict[str, Any] = {}
    loaded = LoadedFiles(state)
    listed = list_files(LocalFileSystem(), str(landing), "*.csv")
    assert len(list(loaded.select_new(listed))) == 10_000
    loaded.remember()
    assert len(json.dumps(state)) < 110_000
    assert list(LoadedFiles(state).select_new(listed)) == []
