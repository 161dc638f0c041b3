"""Every data file carries the ids of its table's columns, and they alone say what a column is."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from destinations.iceberg.conftest import canonical
from dlt.destinations.adapters import iceberg_adapter, iceberg_partition
from dlt.pipeline.exceptions import PipelineStepFailed
from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.schema import index_by_name
from pyiceberg.types import StringType

from floe_ingestion_defs.destinations import Dataset, Finding, StagedTable, release_blocked
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.iceberg.conftest import Lake

NESTED = pa.table(
    {
        "id": [1, 2, 3],
        "day": pa.array([date(2026, 1, 1), None, date(2026, 1, 3)]),
        "address": pa.array([{"city": "Ulm", "no": 1}, None, {"city": None, "no": 3}]),
        "tags": pa.array([["a", None], None, []], pa.list_(pa.string())),
        "lines": pa.array(
            [[{"sku": "x", "parts": [1, 2]}], None, []],
            pa.list_(pa.struct([("sku", pa.string()), ("parts", pa.list_(pa.int64()))])),
        ),
        "prices": pa.array(
            [[("eur", [1.5])], None, []], pa.map_(pa.string(), pa.list_(pa.float64()))
        ),
    }
)


def with_ids(**columns: tuple[int, list[int]]) -> pa.Table:
    """A table whose columns carry field ids, as those read from other Iceberg tables' files do."""
    schema = pa.schema(
        pa.field(name, pa.int64(), metadata={b"PARQUET:field_id": str(number).encode()})
        for name, (number, _) in columns.items()
    )
    return pa.table([values for _, values in columns.values()], schema=schema)


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_field_ids_of_a_source_mean_nothing(lake: Lake, disposition: str) -> None:
    """Rows that come with another table's field ids keep their values in their columns."""
    foreign = with_ids(id=(7, [1, 2]), a=(3, [10, 20]), b=(2, [100, 200]))
    lake.load(dlt.resource([foreign], name="t", primary_key="id"), write_disposition=disposition)
    plain = pa.table({"id": [3], "a": [30], "b": [300]})
    lake.load(dlt.resource([plain], name="t", primary_key="id"), write_disposition=disposition)
    assert lake.rows("t") == [
        {"id": 1, "a": 10, "b": 100},
        {"id": 2, "a": 20, "b": 200},
        {"id": 3, "a": 30, "b": 300},
    ]


@pytest.mark.also_on_rest
@pytest.mark.parametrize("disposition", ["append", "replace", "merge"])
def test_every_data_file_carries_the_ids_of_the_table(lake: Lake, disposition: Any) -> None:
    """Those of nested fields too, in files that are registered, thinned out and rewritten."""
    for rows in (NESTED, NESTED.slice(1), NESTED.slice(2)):
        resource = dlt.resource([rows], name="t", primary_key="id")
        lake.load(resource, write_disposition=disposition)
    assert stored_rows(lake) == expected_rows(disposition)
    assert_ids_are_the_tables(lake, "t")
    for name in ("_dlt_version", "_dlt_pipeline_state"):
        assert_ids_are_the_tables(lake, name)


def expected_rows(disposition: str) -> list[Any]:
    """The rows that three loads leave, each of one row less than the one before."""
    loads = {"append": [0, 1, 2], "replace": [2], "merge": [0]}[disposition]
    rows = (row for first in loads for row in NESTED.slice(first).to_pylist())
    return sorted(rows, key=canonical)


def stored_rows(lake: Lake) -> list[Any]:
    """The rows as merges read them: pyiceberg's scan makes empty lists of null ones of structs."""
    table = lake.table("t")
    batches = (
        batch
        for task in table.scan().plan_files()
        for batch in read_data_file(table.metadata, table.io, task, NESTED.column_names)
    )
    return sorted((row for batch in batches for row in batch.to_pylist()), key=canonical)


def assert_ids_are_the_tables(lake: Lake, name: str) -> None:
    table = lake.table(name)
    ids = index_by_name(table.schema())
    files = [task.file.file_path for task in table.scan().plan_files()]
    assert files
    for path in files:
        with table.io.new_input(path).open() as stream:
            found = index_by_name(pyarrow_to_schema(pq.read_schema(stream)))
        assert found
        assert found.items() <= ids.items()


def test_nested_columns_are_registered_without_being_encoded_again(lake: Lake) -> None:
    """The pages of a staged file are those that dlt wrote, regardless of its values."""
    written: list[bytes] = []

    def compare(staged: StagedTable) -> Iterator[Finding]:
        if staged.intent.table == "t":
            (file,) = staged.intent.files
            (package,) = (lake.folder / "runs").rglob("completed_jobs/t.*.parquet")
            pages = package.read_bytes()[: footer_start(package.read_bytes())]
            with staged.io.new_input(file.path).open() as stream:
                content = stream.read()
            assert content[: footer_start(content)] == pages
            assert len(content) == file.bytes
            written.append(pages)
        yield from ()

    lake.load(dlt.resource([NESTED], name="t"), options={"audits": [compare]})
    assert written
    assert stored_rows(lake) == expected_rows("merge")


def footer_start(content: bytes) -> int:
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


@pytest.mark.also_on_rest
def test_a_table_without_its_name_mapping_is_readable(lake: Lake) -> None:
    """Another engine may remove the property; a load afterwards does not depend on it either."""

    def load(rows: pa.Table) -> None:
        resource = dlt.resource([rows], name="t", primary_key="id")
        lake.load(resource, write_disposition="merge")

    load(NESTED)
    with lake.table("t").transaction() as transaction:
        transaction.remove_properties("schema.name-mapping.default")
    assert stored_rows(lake) == expected_rows("merge")
    load(NESTED.slice(1))
    assert stored_rows(lake) == expected_rows("merge")


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_a_column_that_is_dropped_and_added_again_starts_empty(
    lake: Lake, disposition: Any
) -> None:
    """What was dropped, personal data for instance, does not come back with the column's name."""
    lake.load(
        [{"id": 1, "ssn": "secret"}, {"id": 2, "ssn": "secret"}],
        table_name="t",
        primary_key="id",
        write_disposition=disposition,
    )
    with lake.table("t").update_schema() as update:
        update.delete_column("ssn")
    lake.load(
        [{"id": 3, "ssn": "new"}],
        table_name="t",
        primary_key="id",
        write_disposition=disposition,
    )
    assert lake.rows("t") == [
        {"id": 1, "ssn": None},
        {"id": 2, "ssn": None},
        {"id": 3, "ssn": "new"},
    ]


def test_a_column_may_come_back_with_another_type(lake: Lake) -> None:
    """The older files hold another column, and nothing reads them as the new type."""
    lake.load([{"id": 1, "v": 7}], table_name="t", pipeline="one")
    with lake.table("t").update_schema() as update:
        update.delete_column("v")
    lake.load([{"id": 2, "v": "x"}], table_name="t", pipeline="two")
    assert lake.table("t").schema().find_type("v") == StringType()
    assert lake.rows("t") == [{"id": 1, "v": None}, {"id": 2, "v": "x"}]


def test_a_renamed_column_keeps_its_values_when_its_old_name_is_loaded(lake: Lake) -> None:
    """The old name is a new column then."""
    lake.load([{"id": 1, "v": "old"}], table_name="t")
    with lake.table("t").update_schema() as update:
        update.rename_column("v", "renamed")
    lake.load([{"id": 2, "v": "new"}], table_name="t")
    assert lake.rows("t", "id", "v", "renamed") == [
        {"id": 1, "renamed": "old", "v": None},
        {"id": 2, "renamed": None, "v": "new"},
    ]


@pytest.mark.parametrize("is_partitioned", [False, True])
def test_loads_that_add_different_columns_at_once_keep_them_apart(
    lake: Lake, is_partitioned: bool
) -> None:
    """A file that was staged before another load added its column is read by names."""

    def rows(row: dict[str, int]) -> object:
        resource = dlt.resource([row], name="t")
        if not is_partitioned:
            return resource
        return iceberg_adapter(resource, partition=[iceberg_partition.bucket(4, "id")])

    lake.load(rows({"id": 1}))
    overtaken: list[object] = []

    def overtake(staged: StagedTable) -> Iterator[Finding]:
        if staged.intent.table == "t" and not overtaken:
            overtaken.append(lake.load(rows({"id": 2, "theirs": 20}), pipeline="faster"))
        yield from ()

    lake.load(rows({"id": 3, "ours": 30}), options={"audits": [overtake]})
    assert overtaken
    assert lake.rows("t", "id", "ours", "theirs") == [
        {"id": 1, "ours": None, "theirs": None},
        {"id": 2, "ours": None, "theirs": 20},
        {"id": 3, "ours": 30, "theirs": None},
    ]
    assert_ids_are_the_tables(lake, "t")


def test_a_table_that_is_created_again_after_staging_gets_its_own_field_ids(lake: Lake) -> None:
    """The rows are for the table that is gone, and so for a quarantine table, read by names."""
    lake.load([{"id": 1, "a": "x"}], table_name="t")
    recreated: list[object] = []

    def recreate(staged: StagedTable) -> Iterator[Finding]:
        if staged.intent.table == "t" and not recreated:
            identifier = (lake.dataset, "t")
            lake.catalog.drop_table(identifier)
            other = pa.schema([("z", pa.string()), ("a", pa.string()), ("id", pa.int64())])
            recreated.append(lake.catalog.create_table(identifier, other))
        yield from ()

    with pytest.raises(PipelineStepFailed, match="created by another writer"):
        lake.load([{"id": 2, "a": "y"}], table_name="t", options={"audits": [recreate]})
    assert release_blocked(Dataset(lake.catalog, lake.dataset), "t") == 1
    assert lake.rows("t", "id", "a", "z") == []
    assert lake.rows("t____blocked", "id", "a") == [{"id": 2, "a": "y"}]
    assert_ids_are_the_tables(lake, "t____blocked")


def test_a_file_that_is_nested_in_an_older_way_is_written_again(lake: Lake) -> None:
    """A list whose element has no such name is not found by its path, in statistics for one."""
    imported = lake.folder / "imported.parquet"
    rows = pa.table({"id": [1, 2], "tags": [["a"], None]})
    pq.write_table(rows, imported, use_compliant_nested_type=False)

    @dlt.resource(name="t")
    def import_file() -> Any:
        yield dlt.mark.with_file_import(str(imported), "parquet", 2, hints=rows)

    lake.load(import_file)
    assert lake.rows("t") == rows.to_pylist()
    assert_ids_are_the_tables(lake, "t")
    assert imported.exists()
