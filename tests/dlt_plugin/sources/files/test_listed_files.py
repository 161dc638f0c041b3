"""Each file is loaded once, and again if it changes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.dlt_plugin import (
    PipelineConfigurationError,
    SourceConnectionError,
    SourceReadError,
)


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


def test_files_with_equal_modification_times_are_all_loaded(
    files: Source, landing: Path, load: Load
) -> None:
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


def test_a_deleted_file_is_removed_from_the_state(files: Source, landing: Path, load: Load) -> None:
    landed = landing / "a.csv"
    landed.write_text("id\n1\n")
    os.utime(landed, (1, 1))
    load(files)
    landed.unlink()
    load(files)
    landed.write_text("id\n1\n")
    os.utime(landed, (1, 1))
    assert load(files).rows_loaded == 1


def test_a_failed_load_leaves_its_files_to_the_next_one(
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


def test_a_glob_that_matches_none_of_the_files_fails_the_first_load(
    files: Source, landing: Path, load: Load
) -> None:
    """With a typo in the glob, the run would be green forever."""
    (landing / "2024").mkdir()
    (landing / "2024" / "orders.csv").write_text("id\n1\n")
    with pytest.raises(PipelineConfigurationError, match=r"'\*\.cvs'.*1 files.*orders\.csv"):
        load(configured(files, file_glob="*.cvs"))


def test_an_empty_folder_is_an_empty_source(files: Source, landing: Path, load: Load) -> None:
    assert load(files).rows_loaded == 0


def test_a_folder_in_which_no_file_matches_any_more_is_only_logged(
    files: Source, landing: Path, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    """As where loaded files are moved away, and others stay."""
    (landing / "a.csv").write_text("id\n1\n")
    load(files)
    (landing / "a.csv").rename(landing / "a.done")
    assert load(files).rows_loaded == 0
    assert "matches none of the 1 files" in caplog.text
