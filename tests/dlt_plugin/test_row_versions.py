"""scd2 over sources whose rows come as Arrow tables: files, and databases by the fast backends."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from floe_ingestion_defs.dlt_plugin import LoadResult
from floe_ingestion_defs.dlt_plugin.row_versions import row_versions

SCD2 = {"write_mode": "merge", "merge_strategy": "scd2", "cursor_field": None, "primary_key": None}
Load = Callable[[dict[str, Any]], LoadResult]
Read = Callable[[str], list[dict[str, Any]]]


@pytest.mark.parametrize("backend", ["pyarrow", "sqlalchemy"])
@pytest.mark.parametrize("contract", ["evolve", "freeze"])
def test_a_database_s_rows_have_versions(
    shop: dict[str, Any], database: Any, load: Load, rows: Read, backend: str, contract: str
) -> None:
    """A row that changed is retired, one that did not is left alone, by whatever backend."""
    options = {**shop["source_config"], "backend": backend}
    source = {**shop, **SCD2, "source_config": options, "schema_contract": contract}
    load(source)
    database.run("UPDATE orders SET note = 'changed' WHERE id = 1")
    load(source)
    load(source)
    versions = rows("bronze.shop_orders")
    assert sorted((row["id"], row["note"] or "") for row in versions) == [
        (1, "changed"),
        (1, "first"),
        (2, ""),
    ]


def test_files_of_every_type_have_versions(
    files: dict[str, Any], landing: Path, load: Load, table: Callable[[str], pa.Table]
) -> None:
    """Nested values, bytes and decimals too; the same rows again make no new version."""
    values = {
        "id": [1, 2],
        "at": [datetime(2026, 1, 1, tzinfo=UTC), None],
        "day": [date(2026, 1, 1), None],
        "price": [Decimal("1.10"), None],
        "raw": [b"\xff\x00", None],
        "share": [0.1, None],
        "tags": [["a", "b"], None],
    }
    options = {"bucket_url": str(landing), "file_glob": "*.parquet", "format": "parquet"}
    source = {**files, **SCD2, "source_config": {**options, "only_new_files": False}}
    for changed in (False, False, True):
        if changed:
            values["raw"] = [b"\xff\x01", None]
        pq.write_table(pa.table(values), landing / "items.parquet")
        load(source)
    assert table("bronze.items")["id"].to_pylist() == [1, 1, 2]


def test_a_row_version_depends_on_the_values_alone() -> None:
    """Neither the order of the columns nor a column without a value changes the version."""
    first = pa.table({"a": [1, 2], "b": ["x", None]})
    same = pa.table({"b": ["x", None], "c": pa.nulls(2, pa.int64()), "a": [1, 2]})
    assert row_versions(first) == row_versions(same)
    others = [
        {"a": [1, 2], "b": ["x", "x"]},
        {"a": [1, None], "b": ["x", "2"]},
        {"a": [1, 2], "c": ["x", "x"]},
    ]
    versions = {row_versions(pa.table(other))[1].as_py() for other in others}
    assert len(versions | {row_versions(first)[1].as_py()}) == 4
