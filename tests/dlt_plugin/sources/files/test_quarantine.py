"""A file that cannot be read is quarantined where that is configured."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured


@pytest.fixture
def quarantining(files: Source) -> Source:
    """The landing folder's files, of which those that cannot be read are quarantined."""
    return configured(files, unreadable_files="quarantine")


def test_an_unreadable_file_is_quarantined_and_nothing_of_it_is_loaded(
    quarantining: Source,
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
    result = load(configured(quarantining, block_size=65536))
    assert result.success
    assert rows("bronze.items") == [{"id": 1, "name": "x"}, {"id": 3, "name": "z"}]
    assert result.resources["items"].rejected.files == {
        "b.csv": "b.csv: line 10002: Expected 2 columns, got 3",
        "c.csv": "c.csv: line 2: column 'name': text that is not UTF-8; "
        "set source_config.encoding, such as latin-1",
    }
    assert "file quarantined" in capsys.readouterr().err


def test_a_quarantined_file_is_retried_until_it_can_be_read(
    quarantining: Source, landing: Path, load: Load, rows: Rows
) -> None:
    """It stays listed, and is loaded whole, once, when it was corrected."""
    (landing / "a.csv").write_text("id,amount\n1,10\n")
    load(quarantining)
    (landing / "b.csv").write_text("id,amount\n2,20\n3\n")
    for _ in range(2):
        again = load(quarantining)
        assert again.load_ids == []
        assert list(again.resources["items"].rejected.files) == ["b.csv"]
    (landing / "b.csv").write_text("id,amount\n2,20\n3,30\n")
    done = load(quarantining)
    assert (done.rows_loaded, done.resources["items"].rejected.files) == (2, {})
    assert load(quarantining).rows_loaded == 0
    assert [row["amount"] for row in rows("bronze.items")] == [10, 20, 30]


def test_types_of_a_quarantined_file_are_not_those_of_the_table(
    quarantining: Source, landing: Path, load: Load, table: Callable[[str], pa.Table]
) -> None:
    (landing / "a.csv").write_text("id,amount\none,lots\n2\n")
    lines = "".join(f"{number},name {number}\n" for number in range(10_000))
    (landing / "b.csv").write_text(f"id,amount\n{lines}1,2,3\n")
    (landing / "c.csv").write_text("id,amount\n1,10\n")
    load(configured(quarantining, block_size=65536))
    assert table("bronze.items").schema.field("id").type == pa.int64()
    assert table("bronze.items")["amount"].to_pylist() == [10]


def test_a_large_file_is_checked_whole_without_being_held_in_memory(
    quarantining: Source,
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
    result = load(configured(quarantining, block_size=65536))
    assert result.rows_loaded == 20_000
    assert list(result.resources["items"].rejected.files) == ["b.csv"]
