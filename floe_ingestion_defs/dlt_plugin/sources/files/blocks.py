"""Opens files, decompressed and as UTF-8, and splits text files into blocks of whole rows.

A row is a line, or, in CSV whose quoted values contain line breaks, several lines. Each block is
parsed separately, so that the block limits the memory used, and a column that is empty at the start
of a file can get its type further down.
"""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec import AbstractFileSystem

    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.sources.files.listing import ListedFile

UTF8_MARK = b"\xef\xbb\xbf"
_SUFFIXES = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}


# In quoted values, where they do not end a row.
_HIDDEN = bytes.maketrans(b"\n\r", b"\0 ")


class LongRow(ValueError):
    """A row that is longer than a block.

    Args:
        number: Number of the line or row in which it begins.
        block_size: Bytes of a block.
        unit: What is counted.
    """

    def __init__(self, number: int, block_size: int, unit: str = "line") -> None:
        super().__init__(
            f"{unit} {number}: the row does not fit into {block_size} bytes; increase "
            "source_config.block_size, unless a quote or a line is not closed"
        )


@dataclass(frozen=True)
class Block:
    """Whole rows of a text file.

    Attributes:
        data: The rows, each with its line ending.
        first_line: Number of the first line in the file, starting at 1.
        quoted: Matches the quoted values of CSV, if these contain line breaks.
        unit: What is counted: lines, or rows where a line is not a row of the file.
        is_last: Whether the file ends with it.
    """

    data: bytes
    first_line: int
    quoted: re.Pattern[bytes] | None = None
    unit: str = "line"
    is_last: bool = False


def end_of_match(pattern: re.Pattern[bytes], data: bytes) -> int:
    """Return where what a pattern matches at the beginning of the data ends."""
    found = pattern.match(data)
    return 0 if found is None else found.end()


def whole_rows(quote: str, delimiter: str) -> re.Pattern[bytes]:
    """Return the pattern of rows of CSV whose quoted values may contain line breaks.

    It never backtracks, so a block is matched once.
    """
    q, d = re.escape(quote.encode()), re.escape(delimiter.encode())
    if len(delimiter.encode()) == 1:
        rest, first = rb"[^%b\r\n]*+" % d, rb"[^%b%b\r\n]" % (q, d)
    else:
        rest, first = rb"(?:(?!%b)[^\r\n])*+" % d, rb"(?!%b)[^%b\r\n]" % (d, q)
    quoted = rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % (q, q, q, q, q, q)
    value = rb"(?:%b%b|%b%b|)" % (quoted, rest, first, rest)
    # A carriage return at the end of the data may be the first half of a line ending.
    end = rb"(?:\r\n|\n|\r(?!\n|\Z))"
    return re.compile(rb"(?:%b(?:%b%b)*+%b)*+" % (value, d, value, end))


def quoted_values(quote: str, delimiter: str) -> re.Pattern[bytes]:
    """Return the pattern of quoted CSV values: a quote elsewhere in a value is a character."""
    q, d = re.escape(quote.encode()), re.escape(delimiter.encode())
    return re.compile(
        rb"(?:(?<=%b)|(?<=[\r\n])|\A)%b[^%b]*+(?:%b%b[^%b]*+)*+(?:%b|\Z)" % (d, q, q, q, q, q, q)
    )


@contextmanager
def open_file(fs: AbstractFileSystem, file: ListedFile) -> Iterator[pa.NativeFile]:
    """Open a file for reading by Arrow, without copying if it is local."""
    if "file" in fs.protocol:
        opened = pa.OSFile(file.path, "rb")
    else:
        opened = pa.PythonFile(fs.open(file.path, "rb"), mode="r")
    with closing(opened):
        yield opened


@contextmanager
def open_text(
    fs: AbstractFileSystem, file: ListedFile, options: FilesystemOptions
) -> Iterator[pa.NativeFile]:
    """Open a text file as UTF-8, regardless of its compression and encoding."""
    with open_file(fs, file) as opened:
        stream: Any = opened
        compression = _compression(file.name, options)
        if compression is not None:
            stream = pa.CompressedInputStream(stream, compression)
        if options.encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "ascii"):
            stream = pa.transcoding_input_stream(stream, options.encoding, "utf-8")
        yield stream


def _compression(name: str, options: FilesystemOptions) -> str | None:
    if options.compression == "auto":
        return next(
            (kind for suffix, kind in _SUFFIXES.items() if name.lower().endswith(suffix)), None
        )
    return None if options.compression == "none" else options.compression


def read_blocks(
    stream: pa.NativeFile,
    block_size: int,
    quoted: re.Pattern[bytes] | None = None,
    whole_rows: re.Pattern[bytes] | None = None,
) -> Iterator[Block]:
    """Yield blocks of whole rows of about `block_size` bytes each.

    The last block may have no line ending.

    Args:
        stream: The text, as UTF-8.
        block_size: Bytes of a block, into which a row must fit.
        quoted: Matches the quoted values of CSV, if these contain line breaks.
        whole_rows: Matches the rows of such CSV that end in the data.

    Raises:
        LongRow: A row does not fit into a block.
    """
    first_line = 1
    data = _read_up_to(stream, block_size)
    while data:
        more = _read_up_to(stream, block_size)
        # A last line without a line ending belongs to the block before it.
        if not more:
            end = len(data)
        elif whole_rows is None:
            end = data.rfind(b"\n") + 1
        else:
            end = end_of_match(whole_rows, data)
        if end:
            yield Block(data[:end], first_line, quoted, is_last=not more)
            first_line += _lines_in(data, end, quoted)
        elif more:
            raise LongRow(first_line, block_size)
        data = data[end:] + more


def end_of_first_row(data: bytes, quoted: re.Pattern[bytes] | None) -> int:
    """Return where the second row begins, or the length of the data."""
    if quoted is None:
        return (data.find(b"\n") + 1) or len(data)
    for start, stop in _outside(data, quoted):
        found = re.compile(rb"\r\n|\n|\r").search(data, start, stop)
        if found:
            return found.end()
    return len(data)


def _outside(data: bytes, quoted: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the parts of CSV that are between quoted values."""
    start = 0
    for found in quoted.finditer(data):
        yield start, found.start()
        start = found.end()
    yield start, len(data)


def _lines_in(data: bytes, end: int, quoted: re.Pattern[bytes] | None) -> int:
    lines = data.count(b"\n", 0, end)
    if quoted is not None:
        lines += data.count(b"\r", 0, end) - data.count(b"\r\n", 0, end)
    return lines


def _read_up_to(stream: pa.NativeFile, size: int) -> bytes:
    """Return the requested number of bytes, or fewer at the end; single reads can be shorter."""
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def rows_of(block: Block) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of a block with the number of the line in which each begins.

    Empty lines are not rows. In quoted values, other characters replace line breaks.
    """
    line = block.first_line
    if block.quoted is None:
        rows = block.data.split(b"\n")
    else:
        data = block.quoted.sub(lambda found: found[0].translate(_HIDDEN), block.data)
        rows = re.split(rb"\r\n|\n|\r", data)
    for row in rows:
        if row.strip(b"\r"):
            yield line, row
        line += 1 + (0 if block.quoted is None else row.count(b"\0"))


def line_of_row(block: Block, row: int) -> int:
    """Return the line number of a row, which is counted from 1."""
    for number, (line, _) in enumerate(rows_of(block), 1):
        if number == row:
            return line
    return block.first_line


def rows_in(block: Block) -> int:
    """Return the number of lines of a block that are not empty, each of which is a row."""
    return sum(bool(line.strip(b"\r")) for line in block.data.split(b"\n"))


def line_with_open_quote(block: Block, quote: bytes) -> int:
    """Return the number of the first line that opens a quote without closing it."""
    for offset, line in enumerate(block.data.split(b"\n")):
        if line.count(quote) % 2:
            return block.first_line + offset
    return block.first_line
