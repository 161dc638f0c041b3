"""Reads a sheet of an Excel file (.xlsx) as Arrow tables, some rows at a time, by openpyxl.

The rows are streamed; only the workbook's distinct strings are in memory. Cells have types, but
columns do not: a column with values of several types is text, as in CSV.
"""

from __future__ import annotations

import warnings
from datetime import date, datetime, time
from itertools import islice
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import pyarrow as pa

from floe_ingestion_defs.dlt_plugin.sources.arrow_types import ColumnTypeMismatch, cast_column
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import (
    BrokenFile,
    reject_repeated_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes

    Row = tuple[int, Sequence[Any]]

_NOT_EXCEL = "not a valid Excel file (.xlsx); it may be incomplete, encrypted or of an older format"
# The Arrow type of a column whose values all have one of these types.
_KINDS = (
    ({bool}, pa.bool_()),
    ({int}, pa.int64()),
    ({int, float}, pa.float64()),
    ({datetime}, pa.timestamp("us")),
    ({date}, pa.date32()),
    ({time}, pa.time64("us")),
)


def read_excel(
    opened: pa.NativeFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    """Yield the rows of a sheet.

    Args:
        opened: The file.
        options: Options of the source.
        types: Types of the table's columns.

    Raises:
        BrokenFile: The file, its header or a value cannot be read.
    """
    try:
        with warnings.catch_warnings():
            # About styles and validations, which are not read.
            warnings.filterwarnings("ignore", module="openpyxl")
            yield from _read_sheet(opened, options, types)
    except (BadZipFile, ParseError, KeyError, ValueError) as error:
        if isinstance(error, ColumnTypeMismatch):
            raise
        raise BrokenFile(_NOT_EXCEL) from None


def _read_sheet(
    opened: pa.NativeFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    from openpyxl import load_workbook

    workbook = load_workbook(opened, read_only=True, data_only=True)
    try:
        names = [sheet.title for sheet in workbook.worksheets]
        wanted = names[0] if options.sheet_name is None else options.sheet_name
        if wanted not in names:
            msg = f"the file has no sheet {wanted!r}; its sheets: {', '.join(map(repr, names))}"
            raise BrokenFile(msg)
        sheet = workbook[wanted]
        # Some programs write a wrong size of the sheet, and openpyxl would stop there.
        sheet.reset_dimensions()
        rows = (
            row
            for row in enumerate(
                sheet.iter_rows(min_row=options.header_row, values_only=True), options.header_row
            )
            if any(value is not None for value in row[1])
        )
        yield from _read_rows(rows, options, types)
    finally:
        workbook.close()


def _read_rows(
    rows: Iterator[Row], options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    if options.column_names:
        names = list(options.column_names)
    else:
        number, cells = next(rows, (options.header_row, ()))
        names = ["" if cell is None else str(cell).strip() for cell in cells]
        reject_repeated_names([name for name in names if name], f"in the header, row {number}")
        if names and not types.has_any(name for name in names if name):
            msg = (
                f"no name in the header, row {number}, is a column of the table or of the files "
                "read before"
            )
            raise BrokenFile(msg, advice="; set source_config.header_row, or correct the file")
        yield pa.table({name: pa.nulls(0) for name in names if name})
    while batch := list(islice(rows, options.batch_rows)):
        yield _as_table(batch, names, options, types)


def _as_table(
    rows: list[Row], names: list[str], options: FilesystemOptions, types: KnownTypes
) -> pa.Table:
    width = max(len(cells) for _, cells in rows)
    missing = set(options.null_values)
    numbers = [number for number, _ in rows]
    columns = {}
    known = types.of(name for name in names if name)
    for position in range(max(width, len(names))):
        values = [
            None if position >= len(cells) or cells[position] in missing else cells[position]
            for _, cells in rows
        ]
        name = names[position] if position < len(names) else ""
        if name:
            column = _as_array(values)
            if not types.lenient and name in known:
                _require_fit(name, column, known[name], numbers)
            columns[name] = column
        elif any(value is not None for value in values):
            first = next(n for n, v in zip(numbers, values, strict=True) if v is not None)
            msg = f"a value in column {position + 1}, which has no name in the header"
            raise BrokenFile(msg, [f"row {first}"])
    return pa.table(columns)


def _as_array(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    for fitting, kind in _KINDS:
        if kinds <= fitting:
            return pa.array(values, kind)
    return pa.array([None if value is None else _as_text(value) for value in values], pa.string())


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def _require_fit(name: str, column: pa.Array, wanted: pa.DataType, numbers: list[int]) -> None:
    """Reject a value that does not fit the type of its column, with the row."""
    field = pa.field(name, column.type)
    try:
        cast_column(field, pa.chunked_array([column]), wanted)
    except ColumnTypeMismatch:
        for number, value in zip(numbers, column, strict=True):
            try:
                cast_column(field, pa.chunked_array([[value.as_py()]], column.type), wanted)
            except ColumnTypeMismatch:
                shown = f"{value.as_py()!r} does not fit a column of {wanted}"
                raise BrokenFile(
                    shown,
                    [f"row {number}", f"column {name!r}"],
                    "; declare the column with a wider type under `columns`, or correct the file",
                    without_values=f"a value does not fit a column of {wanted}",
                ) from None
        raise
