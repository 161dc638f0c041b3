"""Merging: what holds beyond equality with dlt's SQL destinations."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.changes import file_changes
from floe_ingestion_defs.destinations.impl.iceberg.errors import AuditFailed, InvalidHint

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake, Row

STRATEGIES = ["delete-insert", "upsert", "insert-only"]


def merging(rows: list[Row], strategy: str = "upsert", **hints: Any) -> Any:
    disposition: Any = {"disposition": "merge", "strategy": strategy}
    return dlt.resource(
        rows,
        name="orders",
        primary_key=hints.pop("primary_key", "id"),
        write_disposition=disposition,
        **hints,
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_last_of_several_rows_with_the_same_key_remains(lake: Lake, strategy: str) -> None:
    """Without `dedup_sort`, of a file's rows the last counts, in a new table and an old one."""
    lake.load(merging([{"id": 1, "v": "a"}, {"id": 1, "v": "b"}, {"id": 2, "v": "c"}], strategy))
    assert lake.rows("orders") == [{"id": 1, "v": "b"}, {"id": 2, "v": "c"}]
    lake.load(merging([{"id": 3, "v": "d"}, {"id": 3, "v": "e"}, {"id": 3, "v": "f"}], strategy))
    assert lake.rows("orders")[-1] == {"id": 3, "v": "f"}
    assert lake.snapshots("orders") == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_duplicates_of_a_root_do_not_double_its_nested_rows(lake: Lake, strategy: str) -> None:
    """Every nested row has a key of its own and one parent."""
    rows = [{"id": 1, "tags": ["a", "b"]}, {"id": 1, "tags": ["c", "d"]}]
    for _ in range(2):
        lake.load(merging(rows, strategy))
    assert lake.values("orders__tags", "value") == ["c", "d"]
    assert len(set(lake.values("orders__tags", "_dlt_id"))) == 2
    assert set(lake.values("orders__tags", "_dlt_parent_id")) == set(
        lake.values("orders", "_dlt_id")
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", ["delta", "first"])
def test_a_null_in_a_key_is_rejected(lake: Lake, strategy: str, kind: str) -> None:
    """It would match nothing, so nothing is published, and the error names table and column."""
    if kind == "delta":
        lake.load(merging([{"id": 1, "part": 1}], strategy, primary_key=["id", "part"]))
    columns = {"part": {"nullable": True, "data_type": "bigint"}}
    bad = merging(
        [{"id": 1, "part": 2}, {"id": 2, "part": None}],
        strategy,
        primary_key=["id", "part"],
        columns=columns,
    )
    error = lake.rejected(bad)
    assert isinstance(error, AuditFailed)
    (finding,) = error.findings
    assert (finding.table, finding.column) == ("lake.orders", "part")
    assert "lake.orders" in str(error)
    assert "part" in str(error)
    if kind == "delta":
        assert lake.rows("orders") == [{"id": 1, "part": 1}]
    else:
        assert lake.tables() == set()


@pytest.fixture
def _files_of_ten_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for step in ("SOURCES", "NORMALIZE"):
        monkeypatch.setenv(f"{step}__DATA_WRITER__FILE_MAX_ITEMS", "10")
        monkeypatch.setenv(f"{step}__DATA_WRITER__BUFFER_MAX_ITEMS", "10")


@pytest.mark.usefixtures("_files_of_ten_rows")
@pytest.mark.parametrize("sort", [True, False])
def test_a_key_in_several_files_of_one_load_is_one_row(lake: Lake, sort: bool) -> None:
    """With `dedup_sort` it is the row that it chooses, else any of them."""
    rows = [{"id": n % 30, "v": n, "tags": [str(n)]} for n in range(95)]
    columns: Any = {"v": {"dedup_sort": "desc"}} if sort else None
    lake.load(merging(rows, "delete-insert", columns=columns))
    found = {r["id"]: r["v"] for r in lake.rows("orders")}
    assert sorted(lake.values("orders", "id")) == list(range(30))
    assert {v % 30 for v in found.values()} == set(range(30))
    assert lake.values("orders__tags", "value") == sorted(str(v) for v in found.values())
    if sort:
        assert found == {n % 30: n for n in range(95)}
    again = [{"id": n, "v": -n, "tags": []} for n in range(10, 30)]
    lake.load(merging(again, "delete-insert", columns=columns))
    assert {r["id"]: r["v"] for r in lake.rows("orders")} == {
        n: found[n] if n < 10 else -n for n in range(30)
    }
    assert len(lake.values("orders__tags", "value")) == 10


@pytest.mark.also_on_rest
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_merge_is_one_snapshot_of_every_table(lake: Lake, strategy: str) -> None:
    """No reader sees a partial merge of a table."""
    lake.load(merging([{"id": n, "tags": ["a"]} for n in range(5)], strategy))
    lake.load(merging([{"id": n, "tags": ["b"]} for n in range(3, 9)], strategy))
    assert lake.snapshots("orders") == lake.snapshots("orders__tags") == 2


@pytest.mark.also_on_rest
def test_a_merge_reads_and_rewrites_only_files_that_hold_its_keys(lake: Lake) -> None:
    """Data files without an incoming key stay in the table as they are."""
    for start in (0, 100, 200):
        lake.load(merging([{"id": n} for n in range(start, start + 10)]))
    before = {t.file.file_path for t in lake.table("orders").scan().plan_files()}
    lake.load(merging([{"id": 105, "v": "new"}]))
    after = {t.file.file_path for t in lake.table("orders").scan().plan_files()}
    assert len(before - after) == 1
    assert len(lake.rows("orders")) == 30


@pytest.mark.parametrize("strategy", STRATEGIES[:2])
def test_small_files_that_a_merge_rewrites_become_one(lake: Lake, strategy: str) -> None:
    """Loads that change rows of all files do not add a file each."""
    for start in range(0, 60, 10):
        lake.load(merging([{"id": n, "v": "old"} for n in range(start, start + 10)], strategy))
    for load in range(3):
        ids = [n for n in range(60) if n % 10 in (load, load + 1)]
        lake.load(merging([{"id": n, "v": f"new {load}"} for n in ids], strategy))
        assert len(list(lake.table("orders").scan().plan_files())) == 2
    newest = {0: "new 0", 1: "new 1", 2: "new 2", 3: "new 2"}
    expected = {n: newest.get(n % 10, "old") for n in range(60)}
    assert {row["id"]: row["v"] for row in lake.rows("orders")} == expected


def test_small_files_of_several_partitions_stay_apart(lake: Lake) -> None:
    """The files of each partition become one."""
    for start in (0, 10, 20):
        rows = [{"id": start + n, "region": "AB"[n % 2]} for n in range(10)]
        lake.load(merging(rows, columns={"region": {"partition": True}}))
    rows = [{"id": n, "region": "AB"[n % 2], "v": 1} for n in (0, 1, 10, 11, 20, 21)]
    lake.load(merging(rows, columns={"region": {"partition": True}}))
    files = [task.file for task in lake.table("orders").scan().plan_files()]
    assert sorted((file.partition[0], file.record_count) for file in files) == [
        ("A", 3),
        ("A", 12),
        ("B", 3),
        ("B", 12),
    ]
    assert len(lake.rows("orders")) == 30


def test_large_files_that_a_merge_rewrites_stay_apart(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_changes, "COMBINED_BYTES", 1)
    for start in (0, 10):
        lake.load(merging([{"id": n, "v": 0} for n in range(start, start + 10)]))
    lake.load(merging([{"id": 0, "v": 1}, {"id": 10, "v": 1}]))
    files = [task.file for task in lake.table("orders").scan().plan_files()]
    assert sorted(file.record_count for file in files) == [2, 9, 9]


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.parametrize("layout", ["partition", "sort"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_laid_out_table_is_merged_into(lake: Lake, strategy: str, layout: str) -> None:
    """An incoming row also replaces a row in another partition."""
    columns: Any = {"region": {layout: True}}
    first = [{"id": n, "region": "ab"[n % 2], "v": 0} for n in range(6)]
    second = [{"id": n, "region": "c" if n < 5 else "b", "v": 1} for n in (2, 5, 7)]
    lake.load(merging(first, strategy, columns=columns))
    lake.load(merging(second, strategy, columns=columns))
    merged = {r["id"]: r for r in (second + first if strategy == "insert-only" else first + second)}
    assert {r["id"]: r for r in lake.rows("orders")} == merged
    assert len(lake.rows("orders")) == len(merged)


def test_a_file_of_an_older_partition_spec_is_merged_into(lake: Lake) -> None:
    """After the spec was changed, old files are rewritten by the new one."""
    lake.load(merging([{"id": n, "region": "ab"[n % 2]} for n in range(6)]))
    with lake.table("orders").update_spec() as update:
        update.add_identity("region")
    lake.load(merging([{"id": 2, "region": "c"}, {"id": 9, "region": "a"}]))
    table = lake.table("orders")
    regions = {r["id"]: r["region"] for r in lake.rows("orders")}
    assert regions == {0: "a", 1: "b", 2: "c", 3: "b", 4: "a", 5: "b", 9: "a"}
    assert {t.file.spec_id for t in table.scan().plan_files()} == {table.spec().spec_id}
    assert table.scan(row_filter="region = 'b'").to_arrow().num_rows == 3
    lake.load(merging([{"id": 4, "region": "d"}]))
    assert lake.table("orders").scan(row_filter="region = 'd'").to_arrow().num_rows == 1


def test_a_spec_may_change_while_older_files_stay(lake: Lake) -> None:
    """Files without an incoming key keep their spec, and are read as before."""
    lake.load(merging([{"id": n, "region": "a"} for n in range(3)]))
    with lake.table("orders").update_spec() as update:
        update.add_identity("region")
    lake.load(merging([{"id": 100, "region": "b"}]))
    with lake.table("orders").update_spec() as update:
        update.remove_field("region")
    lake.load(merging([{"id": 1, "region": "z"}, {"id": 100, "region": "y"}]))
    regions = {r["id"]: r["region"] for r in lake.rows("orders")}
    assert regions == {0: "a", 1: "z", 2: "a", 100: "y"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_row_that_arrives_flagged_as_deleted_is_not_inserted(lake: Lake, strategy: str) -> None:
    """A flagged row is not inserted, nor what is nested in it; dlt's own upsert would."""
    columns: Any = {"gone": {"hard_delete": True, "data_type": "bool"}}
    rows = [{"id": 1, "gone": True, "tags": ["a"]}, {"id": 2, "gone": False, "tags": ["b"]}]
    for _ in range(2):
        lake.load(merging(rows, strategy, columns=columns))
    assert lake.values("orders", "id") == [2]
    assert lake.values("orders__tags", "value") == ["b"]


def test_an_empty_merge_changes_nothing(lake: Lake) -> None:
    """A load with nothing new makes no snapshot."""
    lake.load(merging([{"id": 1}]))
    lake.load(merging([]))
    assert lake.snapshots("orders") == 1


def test_a_key_is_widened_with_its_column(lake: Lake) -> None:
    """An int key merges with the long keys of a later load."""
    small = pa.table({"id": pa.array([1, 2], pa.int32()), "v": ["a", "b"]})
    large = pa.table({"id": pa.array([2, 2**40], pa.int64()), "v": ["B", "c"]})
    for rows in (small, large):
        lake.load(rows, table_name="orders", write_disposition="merge", primary_key="id")
    assert lake.rows("orders") == [
        {"id": 1, "v": "a"},
        {"id": 2**40, "v": "c"},
        {"id": 2, "v": "B"},
    ]


KEYS: dict[str, list[Any]] = {
    "not a number": [float("nan")],
    "infinities": [float("inf"), -float("inf")],
    "empty text": [""],
    "text that is longer than a statistic": ["é" * 40, "é" * 41],
    "text that is longer than Parquet's statistics": ["x" * 5000, "x" * 5001],
    "text of the last code points": ["\U0010ffff" * 20],
    "text before the surrogates": ["a" * 15 + "\ud7ff" + "b"],
    "text with a zero": ["a\0b", "a"],
    "bytes": [b"\xff" * 20, b""],
    "decimals": [Decimal("1.10"), Decimal("-20000000000000.00")],
    "dates": [date(1960, 1, 1), date(2020, 1, 1)],
    "moments": [datetime(1960, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 1, 1, 1, 123456, UTC)],
    "times": [time(1), time(2)],
    "truths": [True, False],
}


@pytest.mark.slow
@pytest.mark.parametrize("composite", [False, True], ids=["single", "composite"])
def test_a_key_of_any_type_finds_its_row(lake: Lake, composite: bool) -> None:
    """However its column's statistics are cut, a file that holds the key is read."""

    def load(version: int) -> None:
        lake.load(
            [
                dlt.resource(
                    pa.table(
                        {"k": keys, "part": [0] * len(keys), "version": [version] * len(keys)}
                    ),
                    name=kind.replace(" ", "_"),
                    primary_key=["k", "part"] if composite else "k",
                    write_disposition="merge",
                )
                for kind, keys in KEYS.items()
            ]
        )

    for version in range(3):
        load(version)
    for kind, keys in KEYS.items():
        table = dlt.Schema("any").naming.normalize_table_identifier(kind.replace(" ", "_"))
        assert lake.values(table, "version") == [2] * len(keys), kind


def test_a_key_without_statistics_in_some_row_groups_finds_its_row(lake: Lake) -> None:
    """Parquet leaves them out where a value is too long, of one row group and not of the next."""
    rows = pa.table({"k": [f"{n:07}" + "y" * 5000 * (n == 150_000) for n in range(200_000)]})
    for part in (rows, rows.slice(149_990, 20)):
        lake.load(part, table_name="orders", write_disposition="merge", primary_key="k")
    assert lake.table("orders").scan().to_arrow().num_rows == 200_000


@pytest.mark.parametrize("key", [[[1], [2]], [{"a": 1}, {"a": 2}]], ids=["list", "struct"])
def test_a_nested_key_is_rejected_before_anything_is_committed(lake: Lake, key: Any) -> None:
    """No two can be compared, and a load that is committed blocks its table until it can be."""
    rows = pa.table({"k": key})
    error = lake.rejected(rows, table_name="orders", write_disposition="merge", primary_key="k")
    assert isinstance(error, InvalidHint)
    assert "`k`" in str(error)
    assert lake.tables() == set()
