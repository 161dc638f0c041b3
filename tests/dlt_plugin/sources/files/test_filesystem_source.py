"""Files are loaded once each, with the types that are declared, and fail by name and line."""

import gzip
import json
import os
import subprocess
import sys
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


def test_the_type_of_a_column_with_two_underscores_is_remembered(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,part__code\n1,x\n")
    load(files)
    (landing / "b.csv").write_text("id,part__code\n2,007\n")
    load(files)
    assert [row["part__code"] for row in rows("bronze.items")] == ["x", "007"]


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


def test_a_timestamp_without_a_time_zone_is_read_as_utc_where_one_is_declared(
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
    from floe_ingestion_defs.destinations import open_catalog

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


def test_files_of_several_encodings_are_loaded_by_a_source_each(
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
    """An open quote swallows lines, and text without line feeds looks like a header alone."""
    (landing / "a.csv").write_bytes(text.encode())
    with pytest.raises(SourceReadError, match=says):
        load(files)
    (landing / "a.csv").write_bytes(text.replace('"open', '"open"').encode())
    load(configured(files, newlines_in_values=True))
    assert [row["id"] for row in rows("bronze.items")][:2] == [1, 2]


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


def test_a_cursor_over_files_loads_only_newer_rows(
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


def test_the_state_of_ten_thousand_files_is_small() -> None:
    from floe_ingestion_defs.dlt_plugin.sources.files.listing import ListedFile, LoadedFiles

    files = [ListedFile(str(n), f"/landing/{n}", n.to_bytes(8)) for n in range(10_000)]
    state: dict[str, Any] = {}
    loaded = LoadedFiles(state)
    for file in loaded.select_new(files):
        loaded.finish(file)
    loaded.remember()
    assert len(json.dumps(state)) < 110_000
    assert list(LoadedFiles(state).select_new(files)) == []


@pytest.fixture
def setting_aside(files: Source) -> Source:
    """The landing folder's files, of which those that cannot be read are quarantined."""
    return configured(files, unreadable_files="quarantine")


def test_an_unreadable_file_is_quarantined_and_nothing_of_it_is_loaded(
    setting_aside: Source,
    landing: Path,
    load: Load,
    rows: Rows,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also not the blocks before the line that is broken; the files beside it are loaded."""
    (landing / "a.csv").write_text("id,name\n1,x\n")
    lines = "".join(f"{number},name {number}\n" for number in range(10_000))
    (landing / "b.csv").write_text(f"id,name\n{lines}1,2,3\n")
    (landing / "c.csv").write_bytes("id,name\n2,Zürich\n".encode("latin-1"))
    (landing / "d.csv").write_text("id,name\n3,z\n")
    result = load(configured(setting_aside, block_size=65536))
    assert result.success
    assert rows("bronze.items") == [{"id": 1, "name": "x"}, {"id": 3, "name": "z"}]
    assert result.resources["items"].rejected.files == {
        "b.csv": "b.csv: line 10002: Expected 2 columns, got 3",
        "c.csv": "c.csv: line 2: column 'name': text that is not UTF-8; "
        "set source_config.encoding, such as latin-1",
    }
    assert "file quarantined" in capsys.readouterr().err


def test_a_quarantined_file_is_retried_until_it_can_be_read(
    setting_aside: Source, landing: Path, load: Load, rows: Rows
) -> None:
    """It stays listed, and is loaded whole, once, when it was corrected."""
    (landing / "a.csv").write_text("id,amount\n1,10\n")
    load(setting_aside)
    (landing / "b.csv").write_text("id,amount\n2,20\n3\n")
    for _ in range(2):
        again = load(setting_aside)
        assert again.load_ids == []
        assert list(again.resources["items"].rejected.files) == ["b.csv"]
    (landing / "b.csv").write_text("id,amount\n2,20\n3,30\n")
    done = load(setting_aside)
    assert (done.rows_loaded, done.resources["items"].rejected.files) == (2, {})
    assert load(setting_aside).rows_loaded == 0
    assert [row["amount"] for row in rows("bronze.items")] == [10, 20, 30]


def test_types_of_a_quarantined_file_are_not_those_of_the_table(
    setting_aside: Source, landing: Path, load: Load, table: Callable[[str], pa.Table]
) -> None:
    (landing / "a.csv").write_text("id,amount\none,lots\n2\n")
    lines = "".join(f"{number},name {number}\n" for number in range(10_000))
    (landing / "b.csv").write_text(f"id,amount\n{lines}1,2,3\n")
    (landing / "c.csv").write_text("id,amount\n1,10\n")
    load(configured(setting_aside, block_size=65536))
    assert table("bronze.items").schema.field("id").type == pa.int64()
    assert table("bronze.items")["amount"].to_pylist() == [10]


def test_a_large_file_is_checked_whole_without_being_held_in_memory(
    setting_aside: Source,
    landing: Path,
    load: Load,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is read twice: once to see that it can be read, and once to load it."""
    from floe_ingestion_defs.dlt_plugin.sources.files import readers as file_readers

    monkeypatch.setattr(file_readers, "_HELD_BYTES", 100_000)
    lines = [f"{number},name {number}\n" for number in range(20_000)]
    (landing / "a.csv").write_text("id,name\n" + "".join(lines))
    (landing / "b.csv").write_text("id,name\n" + "".join(lines) + "1,2,3\n")
    result = load(configured(setting_aside, block_size=65536))
    assert result.rows_loaded == 20_000
    assert list(result.resources["items"].rejected.files) == ["b.csv"]


MANY_FILES = """
import json, os, resource, sys, time
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

files, out = json.loads(sys.argv[1]), {}
for name, number in (("few", 200), ("many", 10_000)):
    os.mkdir(name)
    for file in range(number):
        with open(f"{name}/{file}.jsonl", "w") as landed:
            landed.write(json.dumps({"id": file, "name": f"name {file}"}))
    files["name"], files["destination_table"] = name, f"bronze.{name}"
    files["source_config"]["bucket_url"] = name
    plugin = DltIngestionPlugin({"sources": [files]})
    rows = plugin.load(plugin.create_pipeline(plugin.source(name))).rows_loaded
    out[name] = rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(out))
"""


@pytest.mark.slow
def test_ten_thousand_small_files_take_no_more_memory_than_two_hundred(
    files: Source, landing: Path, tmp_path: Path, table: Callable[[str], pa.Table]
) -> None:
    lines = configured(files, file_glob="*.jsonl", format="jsonl")
    done = subprocess.run(
        [sys.executable, "-c", MANY_FILES, json.dumps(lines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (few, before), (many, after) = json.loads(done.stdout.splitlines()[-1]).values()
    assert (few, many) == (200, 10_000)
    assert after - before < 60, f"{before:.0f} MB, then {after:.0f} MB"
    assert table("bronze.many")["id"].to_pylist() == list(range(10_000))
