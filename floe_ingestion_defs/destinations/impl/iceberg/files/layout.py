"""Layout: partitioning, sort order and properties, as dlt's hints define them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortDirection, SortField, SortOrder
from pyiceberg.transforms import IdentityTransform, parse_transform

from floe_ingestion_defs.destinations.impl.iceberg import intent
from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint

if TYPE_CHECKING:
    from dlt.common.normalizers.naming import NamingConvention
    from dlt.common.schema.typing import TTableSchema
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

# The table hint that `iceberg_adapter` of dlt's filesystem destination sets.
PARTITION_HINT = "x-iceberg-partition"
PROPERTIES_HINT = "x-iceberg-table-properties"

FIRST_PARTITION_FIELD_ID = 1000

# A table that is appended to every hour would otherwise gain one manifest per hour.
DEFAULT_PROPERTIES = {"commit.manifest-merge.enabled": "true"}


def layout_of(table: TTableSchema, naming: NamingConvention) -> intent.Layout:
    """Return the layout that a dlt table's hints define.

    dlt normalizes the names of columns, but not those inside of the adapter's hints.

    `iceberg_adapter(partition=…)` and dlt's own column hint `partition` (an identity transform)
    partition the table; the column hint `sort` orders the rows within each file.
    """
    hints: dict[str, Any] = dict(table)
    fields = [_partition_field(described, naming) for described in hints.get(PARTITION_HINT) or ()]
    partitioned = {f.source_column for f in fields}
    sort = []
    for name, column in table["columns"].items():
        if column.get("partition") and name not in partitioned:
            fields.append(
                intent.PartitionField(source_column=name, transform="identity", name=name)
            )
        if column.get("sort"):
            sort.append(intent.SortField(source_column=name))
    properties = {str(k): str(v) for k, v in (hints.get(PROPERTIES_HINT) or {}).items()}
    return intent.Layout(partition=tuple(fields), sort=tuple(sort), properties=properties)


def _partition_field(described: dict[str, Any], naming: NamingConvention) -> intent.PartitionField:
    source = naming.normalize_path(described["source_column"])
    transform, parameter = described["transform"], described.get("param_value")
    # The default names of pyiceberg, and so of stock dlt.
    short = "trunc" if transform == "truncate" else transform
    given = "_".join([source, *([short] if short != "identity" else [])])
    if parameter is not None:
        given, transform = f"{given}_{parameter}", f"{transform}[{parameter}]"
    name = described.get("partition_field") or given
    return intent.PartitionField(source_column=source, transform=transform, name=name)


def partition_spec(table: str, layout: intent.Layout, schema: Schema) -> PartitionSpec:
    """Return the Iceberg partition spec of a layout.

    Raises:
        InvalidHint: A column does not exist, or Iceberg does not support the transform for its
            type.
    """
    if not layout.partition:
        return UNPARTITIONED_PARTITION_SPEC
    fields = []
    for number, described in enumerate(layout.partition):
        source = _field(table, "partitioned", described.source_column, schema)
        try:
            transform = parse_transform(described.transform)
        except ValueError as error:
            msg = f"Table `{table}` cannot be partitioned: {error}"
            raise InvalidHint(msg) from error
        if not transform.can_transform(source.field_type):
            msg = (
                f"Table `{table}` cannot be partitioned by {described.transform} of column "
                f"`{source.name}`, whose type is `{source.field_type}`."
            )
            raise InvalidHint(msg)
        fields.append(
            PartitionField(
                source_id=source.field_id,
                field_id=FIRST_PARTITION_FIELD_ID + number,
                transform=transform,
                name=described.name,
            )
        )
    return PartitionSpec(*fields)


def _field(table: str, action: str, column: str, schema: Schema) -> NestedField:
    """Return the field of a column that a hint names.

    Raises:
        InvalidHint: The column does not exist.
    """
    found = next((field for field in schema.fields if field.name == column), None)
    if found is None:
        names = ", ".join(field.name for field in schema.fields if field.name[:5] != "_dlt_")
        msg = (
            f"Table `{table}` cannot be {action} by `{column}`, which is not one of its columns: "
            f"{names}."
        )
        raise InvalidHint(msg)
    return found


def sort_order(table: str, layout: intent.Layout, schema: Schema) -> SortOrder:
    """Return the Iceberg sort order of a layout.

    Raises:
        InvalidHint: A column does not exist.
    """
    if not layout.sort:
        return UNSORTED_SORT_ORDER
    fields = []
    for described in layout.sort:
        source = _field(table, "sorted", described.source_column, schema)
        direction = SortDirection.ASC if described.direction == "asc" else SortDirection.DESC
        fields.append(
            SortField(source_id=source.field_id, transform=IdentityTransform(), direction=direction)
        )
    return SortOrder(*fields)
