"""Equality deletes, as Flink writes them and pyiceberg does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
)
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.typedef import Record

from floe_ingestion_defs.destinations import LoadRefused

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from pyiceberg.table import Table
    from servers.spark import Spark


class DeleteManifestWriter(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class EqualityDelete(_FastAppendFiles):
    """A snapshot with one equality delete file."""

    file: DataFile

    def _manifests(self) -> list[Any]:
        metadata = self._transaction.table_metadata
        output = self._io.new_output(f"{metadata.location}/metadata/equality-deletes.avro")
        writer = DeleteManifestWriter(
            metadata.spec(), metadata.schema(), output, self.snapshot_id, "deflate"
        )
        entry = ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED, snapshot_id=self.snapshot_id, data_file=self.file
        )
        with writer:
            writer.add(entry)
        return [writer.to_manifest_file(), *self._existing_manifests()]


def delete_by_id(table: Table, number: int) -> None:
    field = table.schema().find_field("id")
    path = f"{table.location()}/data/equality-deletes.parquet"
    schema = pa.schema(
        [pa.field("id", pa.int64(), metadata={"PARQUET:field_id": str(field.field_id)})]
    )
    with table.io.new_output(path).create() as sink:
        pq.write_table(pa.table({"id": [number]}, schema), sink)
    with table.transaction() as transaction:
        snapshot = EqualityDelete(Operation.APPEND, transaction, table.io)
        snapshot.file = DataFile.from_args(
            content=DataFileContent.EQUALITY_DELETES,
            file_path=path,
            file_format=FileFormat.PARQUET,
            partition=Record(),
            record_count=1,
            file_size_in_bytes=len(table.io.new_input(path)),
            equality_ids=[field.field_id],
            spec_id=0,
        )
        snapshot.commit()


def test_a_table_with_equality_deletes_can_be_appended_to_and_replaced(
    lake: Lake, spark: Spark
) -> None:
    """A merge is rejected before its commit; a replacement leaves a table that pyiceberg reads."""
    lake.load([{"id": 1}, {"id": 2}], table_name="t")
    delete_by_id(lake.table("t"), 2)
    merge: Any = {"table_name": "t", "primary_key": "id", "write_disposition": "merge"}
    error = lake.rejected([{"id": 1}], **merge)
    assert isinstance(error, LoadRefused)
    assert "equality deletes" in str(error)
    lake.load([{"id": 3}], table_name="t")
    manifests = lake.table("t").inspect.manifests()["content"].to_pylist()
    assert sorted(manifests) == [0, 0, 1]  # The deletes are still there.
    with pytest.raises(ValueError, match="equality deletes"):
        lake.rows("t")
    lake.load([{"id": 2}], table_name="t", write_disposition="replace")
    assert lake.rows("t") == [{"id": 2}]
    assert spark.sql(lake.catalog, "SELECT id FROM lake.t") == [[{"id": 2}]]
