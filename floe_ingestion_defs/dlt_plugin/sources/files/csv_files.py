"""Reads CSV files as Arrow tables, a block of whole lines at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv

from floe_ingestion_defs.dlt_plugin.sources.files.blocks import (
    UTF8_MARK,
    Block,
    end_of_first_row,
    line_with_open_quote,
    rows_in,
)
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import (
    BrokenFile,
    column_of,
    not_utf8,
    parse_block,
    reject_repeated_names,
)
from floe_ingestion_defs.dlt_plugin.sources.files.column_formats import ColumnFormats
from floe_ingestion_defs.dlt_plugin.sources.files.csv_dialect import Dialect, read_csv_blocks
from floe_ingestion_defs.dlt_plugin.sources.files.exact_numbers import keep_digits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes


def read_csv(
    stream: pa.NativeFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    """Yield the rows of a stream of CSV.

    Args:
        stream: The text, as UTF-8.
        options: Options of the source.
        types: Types of the table's columns.

    Raises:
        BrokenFile: A block cannot be parsed.
    """
    names = list(options.column_names or ())
    first = bool(names)
    formats = ColumnFormats(options, types)
    for block, dialect in read_csv_blocks(stream, options):
        if not names:
            names, block = _split_header(block, dialect)
            _require_header(names, types, block)
            yield pa.table({name: pa.nulls(0) for name in names})
        elif first:
            _reject_header(names, block, dialect)
        first = False
        if block.data.strip(b"\r\n"):
            known = types.of(names)
            as_text = formats.among(names)
            table = _parse(block, names, dialect, types, as_text)
            table = keep_digits(
                table,
                block,
                known,
                types.declared_among(names),
                dialect.separators,
                partial(_read_texts, block, names, dialect),
            )
            _reject_other_encodings(table, types, block)
            if not options.newlines_in_values:
                _reject_open_quotes(table, block, options)
            yield formats.convert(dialect.restored(table), block)


def _parse(
    block: Block,
    names: list[str],
    dialect: Dialect,
    types: KnownTypes,
    as_text: Sequence[str],
) -> pa.Table:
    convert = _convert_options(names, dialect.options, types, as_text)

    def parse(block: Block, threads: bool) -> pa.Table:
        return pa_csv.read_csv(
            pa.BufferReader(block.data),
            read_options=pa_csv.ReadOptions(
                column_names=names, use_threads=threads, block_size=_parser_block(block, threads)
            ),
            parse_options=dialect.parse_options(),
            convert_options=convert,
        )

    while types.lenient:
        # The contract judges columns that do not match value by value, as strings.
        try:
            return parse(block, True)
        except pa.ArrowInvalid as error:
            text = str(error)
            name = column_of(text, names) if "CSV conversion error" in text else None
            if name is None or convert.column_types.get(name) == pa.string():
                break
            convert.column_types = {**convert.column_types, name: pa.string()}
    return parse_block(parse, block, names)


def _read_texts(
    block: Block, names: list[str], dialect: Dialect, wanted: Sequence[str]
) -> pa.Table:
    return pa_csv.read_csv(
        pa.BufferReader(block.data),
        read_options=pa_csv.ReadOptions(
            column_names=names, block_size=_parser_block(block, threads=False)
        ),
        parse_options=dialect.parse_options(),
        convert_options=pa_csv.ConvertOptions(
            include_columns=list(wanted),
            column_types=dict.fromkeys(wanted, pa.string()),
            null_values=list(dialect.options.null_values),
            strings_can_be_null=True,
        ),
    )


def _parser_block(block: Block, threads: bool) -> int:
    # A quarter of the block keeps both cores busy. A row may be longer, so that Arrow fails, and
    # reads it again without threads.
    return max(1 << 20, len(block.data) // 4) if threads else len(block.data) + 1


def _convert_options(
    names: list[str], options: FilesystemOptions, types: KnownTypes, as_text: Sequence[str]
) -> pa_csv.ConvertOptions:
    # Arrow parses a timestamp with a time zone only from a string with an offset, and one without
    # only from a string without: so timestamps are inferred, and cast afterwards.
    wanted = {
        name: kind for name, kind in types.of(names).items() if not pa.types.is_timestamp(kind)
    } | dict.fromkeys(as_text, pa.string())
    return pa_csv.ConvertOptions(
        column_types=wanted, null_values=list(options.null_values), strings_can_be_null=True
    )


def _split_header(block: Block, dialect: Dialect) -> tuple[list[str], Block]:
    data = block.data.removeprefix(UTF8_MARK)
    first_line = block.first_line
    while data:
        end = end_of_first_row(data, block.quoted)
        row, data = data[:end], data[end:]
        if not row.strip(b"\r\n"):
            first_line += 1
            continue
        if block.quoted is None and b"\r" in row.rstrip(b"\r\n"):
            msg = "lines that end in a carriage return only"
            raise BrokenFile(
                msg,
                [f"line {first_line}"],
                "; set source_config.newlines_in_values to read them",
            )
        header = Block(row, first_line, block.quoted)
        rest = first_line + max(1, row.count(b"\n"))
        names = _names_in(header, dialect)
        reject_repeated_names(names, "in the header", first_line)
        return names, replace(block, data=data, first_line=rest)
    return [], replace(block, data=b"")


def _names_in(header: Block, dialect: Dialect) -> list[str]:
    columns = 1 + header.data.count(dialect.delimiter.encode())

    def parse(block: Block, threads: bool) -> pa.Table:
        return pa_csv.read_csv(
            pa.BufferReader(block.data + b"\n"),
            read_options=pa_csv.ReadOptions(
                autogenerate_column_names=True,
                use_threads=threads,
                block_size=_parser_block(block, threads) + 1,
            ),
            parse_options=dialect.parse_options(),
            convert_options=pa_csv.ConvertOptions(
                column_types={f"f{number}": pa.string() for number in range(columns)},
                strings_can_be_null=False,
            ),
        )

    try:
        header.data.decode()
    except UnicodeDecodeError:
        raise not_utf8(header) from None
    parsed = dialect.restored(parse_block(parse, header))
    return [str(column[0].as_py()) for column in parsed.columns]


def _require_header(names: list[str], types: KnownTypes, after: Block) -> None:
    """Reject a header that is a row: a file without one, among files that have one."""
    if names and not types.has_any(names):
        msg = "no name in the header is a column of the table or of the files read before"
        raise BrokenFile(
            msg,
            [f"line {after.first_line - 1}"],
            "; add the header to the file that lacks it, or declare a column that is new under "
            "`columns`",
        )


def _reject_header(names: list[str], block: Block, dialect: Dialect) -> None:
    """Reject a header where the configuration has the names: it would be loaded as a row."""
    data = block.data.removeprefix(UTF8_MARK)
    row = data[: end_of_first_row(data, block.quoted)]
    if names[0].encode() in row and _names_in(replace(block, data=row), dialect) == names:
        msg = "a header with the names in source_config.column_names"
        raise BrokenFile(msg, ["line 1"], "; remove column_names for files that have a header")


def _reject_other_encodings(table: pa.Table, types: KnownTypes, block: Block) -> None:
    """Reject text that is not UTF-8, which Arrow reads as bytes unless its type is a string."""
    declared = types.of(table.schema.names)
    for field in table.schema:
        if pa.types.is_binary(field.type) and field.name not in declared:
            raise not_utf8(block, field.name)


def _reject_open_quotes(table: pa.Table, block: Block, options: FilesystemOptions) -> None:
    """Reject a quoted value that is not closed on its line: it would absorb the following rows.

    With `newlines_in_values`, files are not split into blocks at line breaks; here such a value
    could be split in two.
    """
    # Counting line breaks is cheap; counting lines that are not empty is not.
    lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
    if table.num_rows < lines and table.num_rows < rows_in(block):
        line = line_with_open_quote(block, options.quote_char.encode())
        msg = "a quoted value continues past the end of its line"
        raise BrokenFile(
            msg,
            [f"line {line}"],
            "; close the quote, or set source_config.newlines_in_values",
        )
