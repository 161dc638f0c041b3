"""Reads one CSV, JSONL or Parquet file as Arrow tables, a block at a time.

Types come from three places: what is declared wins, then what the table or an earlier file has,
then what the values look like. Errors name the file and the line and never the value, which may
be personal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pa_parquet

from floe_ingestion_defs.dlt_plugin.errors import SourceReadError
from floe_ingestion_defs.dlt_plugin.source_options.filesystem import FilesystemOptions
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import ColumnTypeMismatch, conform
from floe_ingestion_defs.dlt_plugin.sources.file_blocks import (
    Block,
    line_of_row,
    open_file,
    open_text,
    read_blocks,
)
from floe_ingestion_defs.dlt_plugin.sources.file_listing import ListedFile

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from floe_ingestion_defs.dlt_plugin.sources.known_types import KnownTypes

_ROW = re.compile(r"Row #(\d+)|in row (\d+)")
_COLUMN = re.compile(r"In CSV column #(\d+)|Column\(/([^)]*)\)")
_UTF8_MARK = b"\xef\xbb\xbf"


def read_file(
    fs: AbstractFileSystem, file: ListedFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    """Yield a file's rows as Arrow tables whose columns have the table's types.

    Args:
        fs: File system that the file is in.
        file: The file.
        options: How it is read.
        types: Types of the table's columns, added to as columns are found.

    Raises:
        SourceReadError: The file cannot be read; names file and line.
    """
    read = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet}[options.format]
    try:
        for table in read(fs, file, options, types):
            if options.format == "csv":
                _refuse_other_encodings(table, file, types)
            if table.num_columns:
                wanted = types.of(table.schema.names)
                yield types.learn(conform(table, wanted, lenient=types.lenient))
    except ColumnTypeMismatch as mismatch:
        msg = (
            f"{file.name}: {mismatch}; declare the column with the wider type under `columns`, "
            "or correct the file"
        )
        raise SourceReadError(msg) from None
    except (pa.ArrowException, UnicodeError, EOFError) as error:
        raise SourceReadError(f"{file.name}: {_without_values(str(error))}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        # Arrow's own, such as a compressed file that ends too early.
        raise SourceReadError(f"{file.name}: {_without_values(str(error))}") from None


def _read_csv(
    fs: AbstractFileSystem, file: ListedFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    with open_text(fs, file, options) as stream:
        if options.newlines_in_values:
            yield from _read_csv_stream(stream, file, options, types)
            return
        names = list(options.column_names or ())
        for block in read_blocks(stream, options.block_size):
            if not names:
                names, block = _split_header(block, file, options)
            if block.data.strip(b"\r\n"):
                loose: set[str] = set()
                parse = partial(_parse_csv, names=names, options=options, types=types, loose=loose)
                yield _parse(parse, block, file, names, loose if types.lenient else None)


def _parse_csv(
    block: Block,
    threads: bool,
    names: list[str],
    options: FilesystemOptions,
    types: KnownTypes,
    loose: set[str],
) -> pa.Table:
    convert = _csv_convert_options(names, options, types)
    convert.column_types = {
        **convert.column_types,
        **dict.fromkeys(loose, pa.string()),
    }
    return pa_csv.read_csv(
        pa.BufferReader(block.data),
        read_options=pa_csv.ReadOptions(
            column_names=names, use_threads=threads, block_size=_parser_block(block)
        ),
        parse_options=_csv_parse_options(options),
        convert_options=convert,
    )


def _parser_block(block: Block) -> int:
    # A quarter each keeps both cores busy; a line must fit, so not too small.
    return max(1 << 20, len(block.data) // 4)


def _csv_parse_options(options: FilesystemOptions) -> pa_csv.ParseOptions:
    return pa_csv.ParseOptions(
        delimiter=options.delimiter,
        quote_char=options.quote_char,
        newlines_in_values=options.newlines_in_values,
    )


def _csv_convert_options(
    names: list[str], options: FilesystemOptions, types: KnownTypes
) -> pa_csv.ConvertOptions:
    # A zoned timestamp is parsed only from text with an offset, a naive one only from text
    # without: so timestamps are inferred, and cast afterwards.
    wanted = {
        name: kind for name, kind in types.of(names).items() if not pa.types.is_timestamp(kind)
    }
    return pa_csv.ConvertOptions(
        column_types=wanted, null_values=list(options.null_values), strings_can_be_null=True
    )


def _read_csv_stream(
    stream: pa.NativeFile, file: ListedFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    """Read values that contain line ends: only the parser itself can tell where a row ends."""
    reader = pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(
            column_names=list(options.column_names or ()), block_size=options.block_size
        ),
        parse_options=_csv_parse_options(options),
        # The names are not known yet; types of columns that the file does not have are ignored.
        convert_options=_csv_convert_options(types.names(), options, types),
    )
    _check_header(reader.schema.names, file)
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _split_header(
    block: Block, file: ListedFile, options: FilesystemOptions
) -> tuple[list[str], Block]:
    data = block.data.removeprefix(_UTF8_MARK)
    first_line = block.first_line
    while data:
        line, _, data = data.partition(b"\n")
        first_line += 1
        if line.strip(b"\r"):
            header = pa_csv.read_csv(
                pa.BufferReader(line + b"\n"),
                read_options=pa_csv.ReadOptions(autogenerate_column_names=True),
                parse_options=_csv_parse_options(options),
                convert_options=pa_csv.ConvertOptions(strings_can_be_null=False),
            )
            names = [str(column[0].as_py()) for column in _as_text(header).columns]
            _check_header(names, file)
            return names, Block(data, first_line)
    return [], Block(b"", first_line)


def _as_text(header: pa.Table) -> pa.Table:
    return header.cast(pa.schema([pa.field(name, pa.string()) for name in header.schema.names]))


def _check_header(names: list[str], file: ListedFile) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"{file.name}: line 1: column {twice[0]!r} is named twice in the header"
        raise SourceReadError(msg)


def _read_jsonl(
    fs: AbstractFileSystem, file: ListedFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    with open_text(fs, file, options) as stream:
        for block in read_blocks(stream, options.block_size):
            if block.data.strip():
                parse = partial(_parse_json, types=types)
                try:
                    table = _parse(parse, block, file, [])
                except SourceReadError:
                    if not types.lenient:
                        raise
                    table = _parse_loosely(block, file, types)
                yield _zoned(table)


def _parse_loosely(block: Block, file: ListedFile, types: KnownTypes) -> pa.Table:
    from floe_ingestion_defs.dlt_plugin.sources.loose_json import parse_loosely

    try:
        return parse_loosely(block, types)
    except ValueError:
        msg = f"{file.name}: lines {block.first_line} and following hold what is no JSON object"
        raise SourceReadError(msg) from None


def _parse_json(block: Block, threads: bool, types: KnownTypes) -> pa.Table:
    wanted = {
        name: kind
        for name, kind in types.of(types.names()).items()
        # The others are read from more than one JSON type, and cast afterwards.
        if kind in (pa.string(), pa.int64(), pa.float64(), pa.bool_()) and not types.is_json(name)
    }
    return pa_json.read_json(
        pa.BufferReader(block.data.removeprefix(_UTF8_MARK)),
        read_options=pa_json.ReadOptions(use_threads=threads, block_size=len(block.data) + 1),
        parse_options=pa_json.ParseOptions(
            explicit_schema=pa.schema(wanted), unexpected_field_behavior="infer"
        ),
    )


def _zoned(table: pa.Table) -> pa.Table:
    """Take timestamps found in JSON as UTC: Arrow drops the zone, having converted to UTC."""
    fields = [
        field.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _read_parquet(
    fs: AbstractFileSystem, file: ListedFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    with open_file(fs, file) as opened, pa_parquet.ParquetFile(opened) as parquet:
        # One row group at a time: pyarrow buffers all that it is asked for, the whole file else.
        for number in range(parquet.num_row_groups):
            for batch in parquet.iter_batches(options.batch_rows, row_groups=[number]):
                yield pa.Table.from_batches([batch])


def _parse(
    parse: Callable[[Block, bool], pa.Table],
    block: Block,
    file: ListedFile,
    names: list[str],
    loose: set[str] | None = None,
) -> pa.Table:
    try:
        return parse(block, True)
    except pa.ArrowInvalid as error:
        name = _unconverted(str(error), names)
        if loose is not None and name is not None and name not in loose:
            # The contract judges the column's values, one by one, as text.
            loose.add(name)
            return _parse(parse, block, file, names, loose)
        # Only without threads does Arrow count the rows that it names in its error.
        try:
            return parse(block, False)
        except pa.ArrowInvalid as error:
            raise SourceReadError(_with_line(file, block, str(error), names)) from None


def _refuse_other_encodings(table: pa.Table, file: ListedFile, types: KnownTypes) -> None:
    """Arrow takes text that is not UTF-8 for bytes, unless told that it is text."""
    declared = types.of(table.schema.names)
    for field in table.schema:
        if pa.types.is_binary(field.type) and field.name not in declared:
            what = f"column {field.name!r} is not UTF-8"
            msg = f"{file.name}: {what}; set source_config.encoding, such as latin-1"
            raise SourceReadError(msg)


def _unconverted(text: str, names: list[str]) -> str | None:
    """Name the csv column of which a value does not have the type of the others."""
    found = _COLUMN.search(text) if "CSV conversion error" in text else None
    return names[int(found[1])] if found and found[1] else None


def _with_line(file: ListedFile, block: Block, text: str, names: list[str]) -> str:
    where = file.name
    if found := _ROW.search(text):
        # Arrow counts CSV rows from 1 and JSON rows from 0.
        row = int(found[1]) if found[1] else int(found[2]) + 1
        where += f": line {line_of_row(block, row)}"
    if found := _COLUMN.search(text):
        number = found[1]
        name = names[int(number)] if number and int(number) < len(names) else found[2]
        where += f": column {name!r}"
    advice = ""
    if "conversion error" in text or "changed from" in text or "convert" in text:
        advice = "; declare the column under `columns` if its type was guessed too narrow"
    return f"{where}: {_without_values(text)}{advice}"


def _without_values(text: str) -> str:
    text = re.sub(r"^In CSV column #\d+: ", "", text)
    text = re.sub(r"(?:CSV|JSON) parse error: ", "", text)
    text = re.sub(r"Row #\d+: ", "", text)
    text = re.sub(r"Column\(/[^)]*\) ", "", text)
    text = re.sub(r",? ?in row \d+", "", text)
    text = re.sub(r"(Expected \d+ columns, got \d+):.*", r"\1", text, flags=re.DOTALL)
    text = re.sub(r": invalid value .*", "", text, flags=re.DOTALL)
    return re.sub(r", couldn't parse:.*", "", text, flags=re.DOTALL)
