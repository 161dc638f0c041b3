"""A footer's schema is changed, and nothing else of a Parquet file."""

from __future__ import annotations

import base64
import io
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from pyiceberg.io.pyarrow import PyArrowFileIO, schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.types import IntegerType, ListType, NestedField, StringType, StructType

from floe_ingestion_defs.destinations.impl.iceberg.files.field_ids import footer_with_field_ids
from floe_ingestion_defs.destinations.impl.iceberg.files.parquet_footer import (
    InvalidFooter,
    join_footer,
    split_footer,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.upload import upload

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = Schema(
    NestedField(11, "n", IntegerType()),
    NestedField(
        300,
        "tags",
        ListType(70_000, StructType(NestedField(5, "name", StringType())), element_required=False),
    ),
)
ROWS = pa.table(
    {"n": range(1000), "tags": [[{"name": f"é{n}"}] if n % 3 else None for n in range(1000)]},
    schema=pa.schema(
        [("n", pa.int32()), ("tags", pa.list_(pa.struct([("name", pa.string())])))],
        metadata={"made by": "a test"},
    ),
)
# A column more than a short list of elements has room for, and than a field id's byte.
WIDE = Schema(*(NestedField(n, f"c{n}", IntegerType()) for n in range(1, 301)))


def footer_of(content: bytes) -> bytes:
    return content[-8 - int.from_bytes(content[-8:-4], "little") : -8]


def written(rows: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink, **options)
    return sink.getvalue()


def with_ids(folder: Path, content: bytes, schema: Schema) -> Path | None:
    local, target = folder / "local.parquet", folder / "data" / "target.parquet"
    local.write_bytes(content)
    with pq.ParquetFile(local) as parquet:
        footer = footer_with_field_ids(parquet, local, schema)
    if footer is None:
        return None
    size = upload(PyArrowFileIO(), local, str(target), footer)
    assert size == target.stat().st_size
    assert local.read_bytes() == content
    return target


def test_only_the_schema_of_a_footer_changes(tmp_path: Path) -> None:
    """Pages, row groups, statistics, indexes and the writer's own metadata."""
    content = written(ROWS, row_group_size=100, write_page_index=True)
    target = with_ids(tmp_path, content, SCHEMA)
    assert target is not None
    before, after = pq.ParquetFile(io.BytesIO(content)), pq.ParquetFile(target)
    assert after.read().equals(before.read())
    assert after.metadata.num_row_groups == 10
    assert after.schema_arrow.metadata == before.schema_arrow.metadata
    for group in range(10):
        assert (
            after.metadata.row_group(group).to_dict() == before.metadata.row_group(group).to_dict()
        )
        assert after.metadata.row_group(group).column(0).has_offset_index
    expected = schema_to_pyarrow(SCHEMA)
    assert after.schema_arrow.field("n").metadata == expected.field("n").metadata
    (element,) = [after.schema_arrow.field("tags").type.value_field]
    assert element.metadata == expected.field("tags").type.value_field.metadata
    assert element.type.field(0).metadata == {b"PARQUET:field_id": b"5"}


def test_ids_that_a_file_had_are_replaced(tmp_path: Path) -> None:
    """Whichever came first in the file and in the table."""
    names = WIDE.column_names
    fields = [
        pa.field(name, pa.int32(), metadata={b"PARQUET:field_id": str(100_000 - n).encode()})
        for n, name in enumerate(reversed(names))
    ]
    content = written(pa.table([[n] for n in range(300)], schema=pa.schema(fields)))
    target = with_ids(tmp_path, content, WIDE)
    assert target is not None
    schema = pq.read_schema(target)
    found = {field.name: int(field.metadata[b"PARQUET:field_id"]) for field in schema}
    assert found == {field.name: field.field_id for field in WIDE.fields}
    assert pq.read_table(target)["c300"].to_pylist() == [0]


def test_splitting_and_joining_a_footer_preserves_it() -> None:
    """Unknown fields are preserved."""
    footer = footer_of(written(ROWS))
    before, elements, after = split_footer(footer)
    assert join_footer(before, elements, after) == footer
    # A map of strings to lists of booleans, in a field far beyond those that exist.
    unknown = bytes([1, 0x89]) + b"\x01k" + bytes([0x21, 1, 2])
    elements[1].fields[200] = (11, unknown)
    again = split_footer(join_footer(before, elements, after))
    assert again[1] == elements
    assert again[2] == after


def test_a_damaged_footer_is_rejected() -> None:
    """A footer that is truncated in the schema, or random, raises one type of error."""
    footer = footer_of(written(ROWS))
    after = split_footer(footer)[2]
    for end in range(len(footer) - len(after)):
        with pytest.raises(InvalidFooter):
            split_footer(footer[:end])
    noise = random.Random(7)
    for _ in range(2000):
        damaged = bytearray(footer)
        for _ in range(noise.randint(1, 8)):
            damaged[noise.randrange(len(footer) - len(after))] = noise.randrange(256)
        try:
            split_footer(bytes(damaged))
        except InvalidFooter:
            continue


@pytest.mark.parametrize(
    "schema",
    [
        Schema(NestedField(1, "n", IntegerType())),
        Schema(NestedField(1, "n", IntegerType()), NestedField(2, "tags", StringType())),
        Schema(
            NestedField(1, "n", StructType(NestedField(3, "x", IntegerType()))),
            SCHEMA.find_field("tags"),
        ),
    ],
    ids=["a column too many", "a list for a string", "a number for a struct"],
)
def test_columns_of_another_shape_get_no_ids(tmp_path: Path, schema: Schema) -> None:
    """The file is written again instead."""
    assert with_ids(tmp_path, written(ROWS), schema) is None


def test_a_signed_footer_is_not_changed(tmp_path: Path) -> None:
    """Its signature would not be valid any more."""

    class Kms(pe.KmsClient):  # type: ignore[misc]
        def __init__(self, _: object) -> None:
            super().__init__()

        def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
            return base64.b64encode(key_bytes)

        def unwrap_key(self, wrapped_key: bytes, _: str) -> bytes:
            return base64.b64decode(wrapped_key)

    configuration = pe.EncryptionConfiguration(
        footer_key="footer", column_keys={"key": ["tags.list.element.name"]}, plaintext_footer=True
    )
    factory = pe.CryptoFactory(Kms)
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), configuration)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, ROWS.schema, encryption_properties=properties) as writer:
        writer.write_table(ROWS)
    assert pq.read_schema(io.BytesIO(sink.getvalue())).names == ["n", "tags"]
    assert with_ids(tmp_path, sink.getvalue(), SCHEMA) is None
