"""Loads that could not be published are rejected before their commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFile

from floe_ingestion_defs.destinations import LoadRefused, blocked_tables
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg import stage as staging
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import bounds_of
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake

YEAR_12024 = 317_302_272_000  # In seconds since 1970.


@pytest.mark.parametrize(
    ("values", "column_type"),
    [
        ([None, YEAR_12024 * 10**6, 0], pa.timestamp("us", "UTC")),
        ([None, YEAR_12024 * 1000, 0], pa.timestamp("ms")),
        ([None, YEAR_12024 // 86400, 0], pa.date32()),
        ([None, -(10**14), 0], pa.timestamp("ms")),
    ],
)
def test_a_date_that_python_lacks_is_rejected(
    lake: Lake, values: list[Any], column_type: pa.DataType
) -> None:
    """Such as PostgreSQL's `infinity`: no file that has it can be described."""
    integers = pa.array(values, pa.int32() if column_type == pa.date32() else pa.int64())
    error = lake.rejected(pa.table({"at": integers.cast(column_type)}), table_name="t")
    assert isinstance(error, LoadRefused)
    assert "1 rows of column `at`" in str(error)
    assert lake.tables() == set()
    lake.load(pa.table({"at": pa.array([0], column_type)}), table_name="t")
    assert len(lake.rows("t")) == 1


@pytest.mark.also_on_rest
def test_a_value_that_pyiceberg_cannot_describe_blocks_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the load that is rejected, nor one that an older release has committed."""
    lake.load([{"id": 1}], table_name="other")
    far = pa.table({"at": pa.array([YEAR_12024 * 10**6, 0], pa.int64()).cast(pa.timestamp("us"))})
    lake.rejected(far, table_name="t")
    assert lake.tables() == {"other"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "require_representable", lambda *_: None)
        patch.setattr(load_step, "publish_own", lambda *_: None)
        lake.load(far, table_name="t")
    lake.load([{"id": 2}], table_name="other")
    lake.load(far.slice(1), table_name="t")
    assert lake.values("other", "id") == [1, 2]
    assert lake.arrow("t").num_rows == 3
    assert blocked_tables(Dataset(lake.catalog, lake.dataset)) == {}


def test_a_rejected_load_s_cursor_is_extracted_again(lake: Lake) -> None:
    """What is corrected in the source is loaded by the next run."""
    seen = []

    def loads(value: Any) -> Any:
        cursor: Any = dlt.sources.incremental("n", initial_value=0)

        @dlt.resource(name="t")
        def t(n: Any = cursor) -> Any:
            seen.append(n.last_value)
            yield pa.table({"n": [5], "at": pa.array([value], pa.int64()).cast(pa.timestamp("us"))})

        return t()

    lake.rejected(loads(YEAR_12024 * 10**6), pipeline="p")
    lake.load(loads(0), pipeline="p")
    assert seen == [0, 0]
    assert lake.rows("t", "n") == [{"n": 5}]


def test_a_bound_that_cannot_be_decoded_is_none(lake: Lake) -> None:
    lake.load([{"id": 1, "name": "a"}], table_name="t")
    metadata = lake.table("t").metadata
    identifier, name = (metadata.schema().find_field(n).field_id for n in ("id", "name"))
    bounds = {identifier: b"\x01\x02\x03", name: b"\xff\xfe"}
    file = DataFile.from_args(lower_bounds=bounds, upper_bounds=bounds)
    assert bounds_of(file, metadata, "id", pa.int64()) is None
    assert bounds_of(file, metadata, "name", pa.string()) is None


@pytest.mark.parametrize("write_disposition", ["append", "merge", "replace"])
def test_a_required_column_is_required_of_a_load(lake: Lake, write_disposition: Any) -> None:
    lake.load([{"id": 1, "name": "a"}], table_name="t")
    with lake.table("t").update_schema(allow_incompatible_changes=True) as update:
        update.update_column("name", required=True)
    arguments = {"table_name": "t", "primary_key": "id", "write_disposition": write_disposition}
    assert "1 of 2 rows" in str(lake.rejected([{"id": 2}, {"id": 3, "name": "c"}], **arguments))
    lake.load([{"id": 1, "name": "b"}], **arguments)
    assert {"id": 1, "name": "b"} in lake.rows("t")
