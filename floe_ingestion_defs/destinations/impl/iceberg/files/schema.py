"""Types: from Arrow and dlt to Iceberg, and from one Iceberg schema to a wider one."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, assert_never, cast

import pyarrow as pa
from pyiceberg.exceptions import ResolveError
from pyiceberg.schema import Schema, promote
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
)

from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    ColumnNameCollision,
    IncompatibleSchema,
    InvalidHint,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.data_types import TDataType
    from dlt.common.schema.typing import TColumnSchema
    from pyiceberg.table import Transaction
    from pyiceberg.table.update.schema import UpdateSchema

DEFAULT_DECIMAL = (38, 9)
# Iceberg's widest decimal. Wei may have 78 digits; a value that needs more than 38 is rejected by
# the Parquet writer, which is better than strings that no engine can add up.
WEI_DECIMAL = (38, 0)


def iceberg_type_of_column(column: TColumnSchema) -> IcebergType:
    """Return the Iceberg type for a dlt column that no staged file contains."""
    precision, scale = column.get("precision"), column.get("scale")
    data_type = cast("TDataType", column["data_type"])
    match data_type:
        case "text" | "json":
            return StringType()
        case "double":
            return DoubleType()
        case "bool":
            return BooleanType()
        case "timestamp":
            return TimestamptzType() if column.get("timezone", True) else TimestampType()
        case "bigint":
            return IntegerType() if precision and precision <= 32 else LongType()
        case "binary":
            return BinaryType()
        case "decimal":
            return DecimalType(precision or DEFAULT_DECIMAL[0], scale if scale is not None else 9)
        case "wei":
            return DecimalType(*WEI_DECIMAL)
        case "date":
            return DateType()
        case "time":
            return TimeType()
    assert_never(data_type)


def iceberg_type_of_arrow(arrow_type: pa.DataType, ids: Iterable[int]) -> IcebergType:
    """Return the Iceberg type that holds every value of an Arrow type.

    Args:
        arrow_type: The type of a column of a staged file.
        ids: The source of field ids for nested types.

    Raises:
        InvalidHint: Iceberg has no such type.
    """
    ids = iter(ids)
    types = pa.types
    if types.is_dictionary(arrow_type):
        return iceberg_type_of_arrow(arrow_type.value_type, ids)
    if types.is_boolean(arrow_type):
        return BooleanType()
    if arrow_type in (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16()):
        return IntegerType()
    if types.is_integer(arrow_type):
        return LongType()
    if arrow_type in (pa.float16(), pa.float32()):
        return FloatType()
    if types.is_floating(arrow_type):
        return DoubleType()
    if types.is_decimal(arrow_type):
        return DecimalType(min(arrow_type.precision, 38), arrow_type.scale)
    if types.is_date(arrow_type):
        return DateType()
    if types.is_time(arrow_type):
        return TimeType()
    if types.is_timestamp(arrow_type):
        return TimestamptzType() if arrow_type.tz else TimestampType()
    if (
        types.is_string(arrow_type)
        or types.is_large_string(arrow_type)
        or types.is_string_view(arrow_type)
    ):
        return StringType()
    if types.is_fixed_size_binary(arrow_type):
        return FixedType(arrow_type.byte_width)
    if (
        types.is_binary(arrow_type)
        or types.is_large_binary(arrow_type)
        or types.is_binary_view(arrow_type)
    ):
        return BinaryType()
    if types.is_struct(arrow_type):
        _reject_repeated_names("A struct", arrow_type)
        return StructType(
            *(
                NestedField(next(ids), field.name, iceberg_type_of_arrow(field.type, ids))
                for field in arrow_type
            )
        )
    if types.is_map(arrow_type):
        return MapType(
            next(ids),
            iceberg_type_of_arrow(arrow_type.key_type, ids),
            next(ids),
            iceberg_type_of_arrow(arrow_type.item_type, ids),
            value_required=False,
        )
    if (
        types.is_list(arrow_type)
        or types.is_large_list(arrow_type)
        or types.is_fixed_size_list(arrow_type)
    ):
        return ListType(
            next(ids), iceberg_type_of_arrow(arrow_type.value_type, ids), element_required=False
        )
    msg = f"Iceberg has no type for Arrow's `{arrow_type}`. Cast it in the source."
    raise InvalidHint(msg)


def _reject_repeated_names(what: str, fields: Iterable[pa.Field]) -> None:
    """Reject fields of the same name, of which readers would return one, or nulls."""
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            msg = f"{what} cannot have several fields named `{name}`. Rename them in the source."
            raise InvalidHint(msg)


def staged_schema(
    table: str, columns: Mapping[str, TColumnSchema], files: Iterable[pa.Schema]
) -> Schema:
    """Return the Iceberg schema of a load's rows for one table.

    The file decides a column's type, so that it can become a data file unchanged; dlt's declaration
    decides where no file has the column. All columns are optional: a key is audited, not
    constrained, and a column missing from a later load stays in the table.

    So a primary key does not become Iceberg's `identifier-field-ids`: the specification allows only
    required columns there. Format 2 cannot add a required column to a table with rows, an append
    may contain a null key, a load of another pipeline may lack the column, and a table of slowly
    changing dimensions or of appends has several rows with the same key.

    Args:
        table: `namespace.table`, for errors.
        columns: The columns of dlt's table schema, in order.
        files: The Arrow schemas of the load's Parquet files.

    Raises:
        IncompatibleSchema: Two files of the load have a column in types without a common one.
        InvalidHint: A file has several columns of one name, or a type that Iceberg does not have.
    """
    ids = count(1)
    found: dict[str, IcebergType] = {}
    for file_schema in files:
        _reject_repeated_names(f"The rows for `{table}`", file_schema)
        for field in file_schema:
            if pa.types.is_null(field.type):
                continue
            incoming = iceberg_type_of_arrow(field.type, ids)
            if field.name in found:
                incoming = _common(table, field.name, found[field.name], incoming)
            found[field.name] = incoming
    for name, column in columns.items():
        if name not in found and column.get("data_type"):
            found[name] = iceberg_type_of_column(column)
    ordered = [
        *(name for name in columns if name in found),
        *(n for n in found if n not in columns),
    ]
    from pyiceberg.schema import assign_fresh_schema_ids

    docs = {name: column.get("description") for name, column in columns.items()}
    fields = (NestedField(next(ids), name, found[name], doc=docs.get(name)) for name in ordered)
    return assign_fresh_schema_ids(Schema(*fields))


def evolve(transaction: Transaction, table: str, incoming: Schema) -> None:
    """Add the changes to the transaction by which the table can hold rows of schema `incoming`.

    Columns are added and types widened, never dropped or narrowed.

    Raises:
        IncompatibleSchema: A column would need a type that Iceberg cannot widen to.
        ColumnNameCollision: A column's name differs from one of the table's in case alone.
    """
    present = {field.name: field for field in transaction.table_metadata.schema().fields}
    by_folded_name = {name.casefold(): field for name, field in present.items()}
    additions: list[NestedField] = []
    widenings: list[tuple[str, IcebergType]] = []
    for field in incoming.fields:
        if field.name not in present:
            if other := by_folded_name.get(field.name.casefold()):
                types = str(other.field_type), str(field.field_type)
                raise ColumnNameCollision(table, field.name, other.name, *types)
            additions.append(field)
            continue
        wide = _widest(table, field.name, present[field.name].field_type, field.field_type)
        if not _same_shape(wide, present[field.name].field_type):
            widenings.append((field.name, wide))
    if not additions and not widenings:
        return
    with transaction.update_schema() as update:
        for field in additions:
            update.add_column(field.name, field.field_type, doc=field.doc)
        for name, wide in widenings:
            _widen(update, (name,), present[name].field_type, wide)


def _widen(
    update: UpdateSchema, path: tuple[str, ...], present: IcebergType, wide: IcebergType
) -> None:
    """Add the changes by which a column, or a field inside of one, gets a wider type."""
    match present, wide:
        case StructType(), StructType():
            known = {field.name: field for field in present.fields}
            for field in wide.fields:
                inner = (*path, field.name)
                if field.name in known:
                    _widen(update, inner, known[field.name].field_type, field.field_type)
                else:
                    update.add_column(inner, field.field_type)
        case ListType(), ListType():
            _widen(update, (*path, "element"), present.element_type, wide.element_type)
        case MapType(), MapType():
            _widen(update, (*path, "value"), present.value_type, wide.value_type)
        case _ if present != wide:
            update.update_column(path, field_type=cast("Any", wide))


def reset(transaction: Transaction, table: str, incoming: Schema) -> None:
    """Add the changes to the transaction that make the table's columns exactly those of `incoming`.

    Raises:
        IncompatibleSchema: The table is partitioned or sorted by a column that changes its type.
    """
    metadata = transaction.table_metadata
    wanted = {field.name: field.field_type for field in incoming.fields}
    order = metadata.sort_order_by_id(metadata.default_sort_order_id)
    by_layout = {f.source_id for f in (*metadata.spec().fields, *(order.fields if order else ()))}
    gone = []
    for field in metadata.schema().fields:
        if field.name in wanted and _same_shape(field.field_type, wanted[field.name]):
            continue
        if field.field_id in by_layout:
            incoming_type = str(wanted.get(field.name, "absent"))
            raise IncompatibleSchema(table, field.name, str(field.field_type), incoming_type)
        gone.append(field.name)
    if gone:
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column(name)
    evolve(transaction, table, incoming)


def _common(table: str, column: str, one: IcebergType, other: IcebergType) -> IcebergType:
    """Return the type that holds every value of two types, of which none is a table's yet."""
    coarse, fine = sorted((one, other), key=lambda found: getattr(found, "scale", 0))
    return coarse if _is_exact(fine, coarse) else _widest(table, column, fine, coarse)


def _widest(table: str, column: str, present: IcebergType, incoming: IcebergType) -> IcebergType:
    """Return the type that a column needs for the incoming values.

    It is the present one where that holds every value, which staging then casts, or a wider one
    that Iceberg's specification allows promotion to.
    """
    if _same_shape(present, incoming) or _is_exact(incoming, present):
        return present
    if isinstance(present, StructType) and isinstance(incoming, StructType):
        return _widest_struct(table, column, present, incoming)
    if isinstance(present, ListType) and isinstance(incoming, ListType):
        element = present.element_type, incoming.element_type
        wide = _widest(table, f"{column}.element", *element)
        return ListType(present.element_id, wide, present.element_required)
    # Iceberg's specification does not allow the keys of a map to change.
    if (
        isinstance(present, MapType)
        and isinstance(incoming, MapType)
        and _same_shape(present.key_type, incoming.key_type)
    ):
        values = present.value_type, incoming.value_type
        wide = _widest(table, f"{column}.value", *values)
        key = present.key_id, present.key_type
        return MapType(*key, present.value_id, wide, present.value_required)
    if isinstance(present, DecimalType) and isinstance(incoming, DecimalType):
        digits = max(t.precision - t.scale for t in (present, incoming))
        precision = digits + present.scale
        if incoming.scale <= present.scale and precision <= DEFAULT_DECIMAL[0]:
            return DecimalType(precision, present.scale)
    for narrow, wide in ((present, incoming), (incoming, present)):
        if isinstance(wide, StringType | BinaryType):
            continue  # Promotion between strings and bytes would read one as the other.
        if getattr(narrow, "scale", None) != getattr(wide, "scale", None):
            # pyiceberg 0.12 compares a decimal's scale with itself, so values would change; see
            # iceberg-python pull request 3613.
            continue
        try:
            return promote(narrow, wide)
        except ResolveError:
            continue
    raise IncompatibleSchema(table, column, str(present), str(incoming))


def _widest_struct(
    table: str, column: str, present: StructType, incoming: StructType
) -> StructType:
    """Return the struct with the fields of both, each as wide as needed; new ones are last."""
    found = {field.name: field for field in incoming.fields}
    fields = []
    for field in present.fields:
        if (other := found.pop(field.name, None)) is not None:
            path = f"{column}.{field.name}"
            wide = _widest(table, path, field.field_type, other.field_type)
            field = NestedField(field.field_id, field.name, wide, field.required, field.doc)
        fields.append(field)
    by_folded_name = {field.name.casefold(): field for field in fields}
    for field in found.values():
        if (known := by_folded_name.get(field.name.casefold())) is not None:
            names = f"{column}.{field.name}", f"{column}.{known.name}"
            types = str(known.field_type), str(field.field_type)
            raise ColumnNameCollision(table, *names, *types)
    return StructType(*fields, *found.values())


_DIGITS: dict[type[IcebergType], int] = {IntegerType: 10, LongType: 19}


def _is_exact(source: IcebergType, target: IcebergType) -> bool:
    """Return whether a cast to the target changes no value of the source, for any of them."""
    if isinstance(target, DecimalType):
        whole = target.precision - target.scale
        if isinstance(source, DecimalType):
            return source.scale <= target.scale and source.precision - source.scale <= whole
        return type(source) in _DIGITS and _DIGITS[type(source)] <= whole
    if isinstance(source, IntegerType):
        return isinstance(target, DoubleType)
    return isinstance(source, FixedType) and isinstance(target, BinaryType)


def _same_shape(left: IcebergType, right: IcebergType) -> bool:
    """Return whether two types are equal except for the ids of their nested fields."""
    if isinstance(left, StructType) and isinstance(right, StructType):
        return [f.name for f in left.fields] == [f.name for f in right.fields] and all(
            _same_shape(a.field_type, b.field_type)
            for a, b in zip(left.fields, right.fields, strict=True)
        )
    if isinstance(left, ListType) and isinstance(right, ListType):
        return _same_shape(left.element_type, right.element_type)
    if isinstance(left, MapType) and isinstance(right, MapType):
        return _same_shape(left.key_type, right.key_type) and _same_shape(
            left.value_type, right.value_type
        )
    return left == right
