"""The dialect of CSV files, as Arrow's parser understands it.

Arrow's delimiter is one byte. A longer one is replaced, in each block, by a control character that
the block does not contain, and put back where it was part of a quoted value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from floe_ingestion_defs.dlt_plugin.sources.files.blocks import (
    Block,
    end_of_match,
    quoted_values,
    read_blocks,
    whole_rows,
)
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import BrokenFile

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions

# The separators that ASCII has for this purpose, and others that text does not contain.
_STAND_INS = "\x1f\x1e\x1d\x1c\x01\x02\x03\x04\x05"


@dataclass(frozen=True)
class Dialect:
    """The dialect of a block of CSV.

    Attributes:
        options: Options of the source.
        delimiter: The delimiter of one byte.
    """

    options: FilesystemOptions
    delimiter: str

    @property
    def separators(self) -> str:
        """Every character that a value can follow, except for a line feed."""
        return f"{self.delimiter}{self.options.quote_char}\r"

    def parse_options(self) -> pa_csv.ParseOptions:
        """Return Arrow's options."""
        return pa_csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char=self.options.quote_char,
            newlines_in_values=self.options.newlines_in_values,
        )

    def restored(self, table: pa.Table) -> pa.Table:
        """Return a table whose texts have the delimiter of the file."""
        if self.delimiter == self.options.delimiter:
            return table
        for number, field in enumerate(table.schema):
            if pa.types.is_string(field.type):
                texts = pc.replace_substring(table[number], self.delimiter, self.options.delimiter)
                table = table.set_column(number, field, texts)
        return table


def read_csv_blocks(
    stream: pa.NativeFile, options: FilesystemOptions
) -> Iterator[tuple[Block, Dialect]]:
    """Yield blocks of whole rows, each with its dialect.

    Args:
        stream: The text, as UTF-8.
        options: Options of the source.

    Raises:
        BrokenFile: The file's delimiter cannot be replaced.
        LongRow: A row does not fit into a block.
    """
    delimiter = options.delimiter
    quoted = rows = None
    if options.newlines_in_values:
        quoted = quoted_values(options.quote_char, delimiter)
        rows = whole_rows(options.quote_char, delimiter)
    for block in read_blocks(stream, options.block_size, quoted, rows):
        if block.is_last and quoted is not None and rows is not None:
            start = end_of_match(rows, block.data)
            _reject_open_quote(block, quoted, options.quote_char.encode(), start)
        if len(delimiter.encode()) == 1:
            yield block, Dialect(options, delimiter)
            continue
        free = (char for char in _STAND_INS if char.encode() not in block.data)
        stand_in = next(free, None)
        if stand_in is None:
            msg = "control characters, which a delimiter of several characters does not allow"
            raise BrokenFile(msg, [f"line {block.first_line}"])
        data = block.data.replace(delimiter.encode(), stand_in.encode())
        if quoted is not None:
            block = replace(block, quoted=quoted_values(options.quote_char, stand_in))
        yield replace(block, data=data), Dialect(options, stand_in)


def _reject_open_quote(block: Block, quoted: re.Pattern[bytes], quote: bytes, start: int) -> None:
    """Reject a quoted value that the end of the file ends: it has absorbed the rows after it."""
    for found in quoted.finditer(block.data, start):
        if found.end() == len(block.data) and found[0].count(quote) % 2:
            line = block.first_line + block.data.count(b"\n", 0, found.start())
            msg = "a quoted value is not closed before the end of the file"
            raise BrokenFile(msg, [f"line {line}"])
