"""The log's format is fixed: golden rows of every kind are read and published by this release."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from destinations.iceberg.log.golden.kinds import KINDS
from dlt.common.destination.exceptions import DestinationTransientException

from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import UnknownLogFormat
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_file_from_footer,
    data_path,
    write_data_file,
)
from floe_ingestion_defs.destinations.impl.iceberg.intent import LoadIntent
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    FORMAT_VERSION,
    LOG_SCHEMA,
    PROPERTIES_FORMAT,
    Load,
)
from floe_ingestion_defs.destinations.impl.iceberg.recover import recover

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

GOLDEN = Path(__file__).parent / "golden" / "rows"
FILES = sorted(GOLDEN.glob("*/*.json"), key=lambda path: (int(path.parent.name), path.stem))


def write_log(dataset: Dataset, rows: list[dict[str, Any]]) -> None:
    """Append rows to the dataset's log as they are, as another release wrote them."""
    view = dataset.log.read_or_create()
    times = [{**row, "inserted_at": datetime.fromisoformat(row["inserted_at"])} for row in rows]
    path = data_path(view.table.metadata, "golden")
    batches = pa.Table.from_pylist(times, schema=LOG_SCHEMA).to_batches()
    write_data_file(view.table.io, view.table.metadata, path, batches)
    with view.table.transaction() as transaction:
        add_snapshot(transaction, [data_file_from_footer(view.table.metadata, view.table.io, path)])


def read(dataset: Dataset) -> LogView:
    """Return the log, which must be there."""
    view = dataset.log.read()
    assert view is not None
    return view


def listing(folder: Path) -> set[str]:
    """Return every file below a folder but SQLite's own."""
    return {
        str(path) for path in folder.rglob("*") if path.is_file() and "catalog" not in path.name
    }


def test_there_are_golden_rows_of_each_kind_in_the_present_format() -> None:
    kinds = {path.stem for path in FILES if path.parent.name == str(FORMAT_VERSION)}
    assert kinds == KINDS.keys()


@pytest.mark.parametrize("path", FILES, ids=[f"{p.parent.name}-{p.stem}" for p in FILES])
def test_golden_rows_are_read_and_published(path: Path, lake: Any, home: Path) -> None:
    encoded = path.read_text().replace("{warehouse}", str(home / "warehouse"))
    golden = json.loads(encoded)
    for name, content in golden["files"].items():
        file = Path(name.removeprefix("file://"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(content))
    dataset = Dataset(lake.catalog, lake.dataset)
    write_log(dataset, golden["rows"])
    assert recover(dataset, read(dataset)) == {}
    _, expected = KINDS[path.stem]
    found = {name: lake.rows(name) for name in lake.tables()}
    assert found == expected
    assert read(dataset).settled_seq == len(golden["rows"])
    assert read(dataset).unsettled() == []


@pytest.mark.parametrize("path", FILES, ids=[f"{p.parent.name}-{p.stem}" for p in FILES])
def test_an_intent_is_written_with_the_names_that_it_was_read_with(path: Path) -> None:
    """Compaction and branches write the intents of others again; a field may be added, not lost."""
    for row in json.loads(path.read_text())["rows"]:
        read_again = LoadIntent.model_validate_json(row["intent"]).model_dump_json()
        assert _contains(json.loads(read_again), json.loads(row["intent"]))


def _contains(value: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(key in value and _contains(value[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(value) == len(part) and all(map(_contains, value, part))
    return bool(value == part)


def _a_row(**changed: Any) -> dict[str, Any]:
    load = Load("1.0", "uid", "shop", "hash", "shop", LoadIntent(), seq=2)
    (row,) = load.as_row().to_pylist()
    return {**row, "inserted_at": row["inserted_at"].isoformat(), **changed}


@pytest.mark.parametrize(
    "changed",
    [
        {"format_version": FORMAT_VERSION + 1, "written_by": "floe-ingestion-defs 99.0"},
        {"intent": '{"tables": [], "releases": [], "clustering": "z-order"}'},
        {"format_version": None, "written_by": None},
    ],
    ids=["newer version", "unknown field", "no version"],
)
def test_a_row_in_an_unknown_format_stops_a_load_and_changes_nothing(
    changed: dict[str, Any], lake: Any, home: Path
) -> None:
    lake.load([{"id": 1}], table_name="users")
    dataset = Dataset(lake.catalog, lake.dataset)
    write_log(dataset, [_a_row(**changed)])
    before, files = lake.table("_dlt_loads").metadata_location, listing(home)
    error = lake.rejected([{"id": 2}], table_name="users")
    assert isinstance(error, UnknownLogFormat)
    assert isinstance(error, DestinationTransientException)
    assert lake.table("_dlt_loads").metadata_location == before
    assert listing(home) == files
    assert lake.values("users", "id") == [1]


def test_an_unknown_format_names_the_release_that_is_needed(lake: Any) -> None:
    dataset = Dataset(lake.catalog, lake.dataset)
    write_log(dataset, [_a_row(format_version=7, written_by="floe-ingestion-defs 99.0")])
    with pytest.raises(UnknownLogFormat, match=r"floe-ingestion-defs 99\.0 or newer"):
        dataset.log.read()


@pytest.mark.parametrize("value", ["7 floe-ingestion-defs 99.0", "seven"])
def test_properties_of_an_unknown_format_are_not_read(lake: Any, value: str) -> None:
    """A newer release may change their meaning before it appends its first row."""
    lake.load([{"id": 1}], table_name="users")
    with lake.table("_dlt_loads").transaction() as transaction:
        transaction.set_properties({PROPERTIES_FORMAT: value})
    before = lake.table("_dlt_loads").metadata_location
    error = lake.rejected([{"id": 2}], table_name="users")
    assert isinstance(error, UnknownLogFormat)
    assert f"`{PROPERTIES_FORMAT}`" in str(error)
    assert ("floe-ingestion-defs 99.0 or newer" in str(error)) == value.startswith("7")
    assert lake.table("_dlt_loads").metadata_location == before
    assert lake.values("users", "id") == [1]


def test_properties_of_a_known_format_are_read(lake: Any) -> None:
    lake.load([{"id": 1}], table_name="users")
    with lake.table("_dlt_loads").transaction() as transaction:
        transaction.set_properties({PROPERTIES_FORMAT: f"{FORMAT_VERSION} a-release"})
    lake.load([{"id": 2}], table_name="users")
    assert lake.values("users", "id") == [1, 2]


def test_an_unknown_field_is_reported_without_what_the_row_holds(lake: Any) -> None:
    """A window's bounds, which an intent holds, are values of rows."""
    dataset = Dataset(lake.catalog, lake.dataset)
    write_log(dataset, [_a_row(intent='{"tables": [], "window": {"lower": "secret"}}')])
    with pytest.raises(UnknownLogFormat) as caught:
        read(dataset).unsettled()
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_load_survives_its_row() -> None:
    load = Load("1.0", "uid", "shop", "hash", "shop", LoadIntent(), "{}", 3, seq=2, settled_seq=1)
    (row,) = load.as_row().to_pylist()
    from floe_ingestion_defs.destinations.impl.iceberg.log.format import load_from_row

    assert load_from_row("log", row) == replace(load, committed_at=row["inserted_at"])
