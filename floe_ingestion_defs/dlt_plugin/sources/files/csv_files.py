"""Reads CSV files as Arrow tables, a block of whole lines at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv

from floe_ingestion_defs.dlt_plugin.sources.files.blocks import (
    UTF8_MARK,
    Block,
    line_with_open_quote,
    read_blocks,
    rows_in,
)
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import (
    BrokenFile,
    broken_by,
    column_of,
    not_utf8,
    parse_block,
    reject_repeated_names,
)
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
    if options.newlines_in_values:
        yield from _read_stream(stream, options, types)
        return
    names = list(options.column_names or ())
    for block in read_blocks(stream, options.block_size):
        if not names:
            names, block = _split_header(block, options)
            yield pa.table({name: pa.nulls(0) for name in names})
        if block.data.strip(b"\r\n"):
            known = types.of(names)
            table = _parse(block, names, options, types)
            table = keep_digits(
                table,
                block,
                known,
                types.declared_among(names),
                options.delimiter + options.quote_char,
                partial(_read_texts, block, names, options),
            )
            _reject_other_encodings(table, types, block)
            _reject_open_quotes(table, block, options)
            yield table


def _parse(
    block: Block, names: list[str], options: FilesystemOptions, types: KnownTypes
) -> pa.Table:
    convert = _convert_options(names, options, types)

    def parse(block: Block, threads: bool) -> pa.Table:
        return pa_csv.read_csv(
            pa.BufferReader(block.data),
            read_options=pa_csv.ReadOptions(
                column_names=names, use_threads=threads, block_size=_parser_block(block)
            ),
            parse_options=_parse_options(options),
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
    block: Block, names: list[str], options: FilesystemOptions, wanted: Sequence[str]
) -> pa.Table:
    return pa_csv.read_csv(
        pa.BufferReader(block.data),
        read_options=pa_csv.ReadOptions(column_names=names, block_size=_parser_block(block)),
        parse_options=_parse_options(options),
        convert_options=pa_csv.ConvertOptions(
            include_columns=list(wanted),
            column_types=dict.fromkeys(wanted, pa.string()),
            null_values=list(options.null_values),
            strings_can_be_null=True,
        ),
    )


def _parser_block(block: Block) -> int:
    # A quarter of the block keeps both cores busy; it must not be smaller than a line.
    return max(1 << 20, len(block.data) // 4)


def _parse_options(options: FilesystemOptions) -> pa_csv.ParseOptions:
    return pa_csv.ParseOptions(
        delimiter=options.delimiter,
        quote_char=options.quote_char,
        newlines_in_values=options.newlines_in_values,
    )


def _convert_options(
    names: list[str], options: FilesystemOptions, types: KnownTypes
) -> pa_csv.ConvertOptions:
    # Arrow parses a timestamp with a time zone only from a string with an offset, and one without
    # only from a string without: so timestamps are inferred, and cast afterwards.
    wanted = {
        name: kind for name, kind in types.of(names).items() if not pa.types.is_timestamp(kind)
    }
    return pa_csv.ConvertOptions(
        column_types=wanted, null_values=list(options.null_values), strings_can_be_null=True
    )


def _read_stream(
    stream: pa.NativeFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    """Yield the rows of files whose values contain line breaks: only the parser finds row ends."""
    names: list[str] = []
    try:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                column_names=list(options.column_names or ()),
                block_size=options.block_size,
                # Arrow's errors contain the row number only if it does not use threads.
                use_threads=False,
            ),
            parse_options=_parse_options(options),
            # The names are not known yet; types of columns that the file does not have are ignored.
            convert_options=_convert_options(types.names(), options, types),
        )
        names = reader.schema.names
        reject_repeated_names(names, "in the header", 1)
        for batch in reader:
            table = pa.Table.from_batches([batch])
            _reject_other_encodings(table, types)
            yield table
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return
        raise broken_by(str(error), names=names) from None


def _split_header(block: Block, options: FilesystemOptions) -> tuple[list[str], Block]:
    data = block.data.removeprefix(UTF8_MARK)
    first_line = block.first_line
    while data:
        line, _, data = data.partition(b"\n")
        if not line.strip(b"\r"):
            first_line += 1
            continue
        if b"\r" in line.rstrip(b"\r"):
            msg = "lines that end in a carriage return only"
            raise BrokenFile(
                msg,
                [f"line {first_line}"],
                "; set source_config.newlines_in_values to read them",
            )
        return _names_in(line, first_line, options), Block(data, first_line + 1)
    return [], Block(b"", first_line)


def _names_in(line: bytes, number: int, options: FilesystemOptions) -> list[str]:
    def parse(block: Block, threads: bool) -> pa.Table:
        header = pa_csv.read_csv(
            pa.BufferReader(block.data),
            read_options=pa_csv.ReadOptions(autogenerate_column_names=True, use_threads=threads),
            parse_options=_parse_options(options),
            convert_options=pa_csv.ConvertOptions(strings_can_be_null=False),
        )
        return header.cast(pa.schema([(name, pa.string()) for name in header.schema.names]))

    block = Block(line + b"\n", number)
    try:
        line.decode()
    except UnicodeDecodeError:
        raise not_utf8(block) from None
    header = parse_block(parse, block)
    names = [str(column[0].as_py()) for column in header.columns]
    reject_repeated_names(names, "in the header", number)
    return names


def _reject_other_encodings(table: pa.Table, types: KnownTypes, block: Block | None = None) -> None:
    """Reject text that is not UTF-8, which Arrow reads as bytes unless its type is a string."""
    declared = types.of(table.schema.names)
    for field in table.schema:
        if pa.types.is_binary(field.type) and field.name not in declared:
            raise not_utf8(block or Block(b"", 0), field.name)


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
