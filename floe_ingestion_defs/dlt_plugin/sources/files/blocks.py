"""Opens files, decompressed and as UTF-8, and splits text files into blocks of whole lines.

Each block is parsed separately, so that the block limits the memory used, and a column that is
empty at the start of a file can get its type further down.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Block:
    """Whole lines of a text file.

    Attributes:
        data: The lines, each with its line ending.
        first_line: Number of the first line in the file, starting at 1.
    """

    data: bytes
    first_line: int


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


def read_blocks(stream: pa.NativeFile, block_size: int) -> Iterator[Block]:
    """Yield blocks of whole lines of about `block_size` bytes each.

    The last block may have no line ending.
    """
    first_line = 1
    data = _read_up_to(stream, block_size)
    while data:
        more = _read_up_to(stream, block_size)
        # A last line without a line ending belongs to the block before it.
        end = data.rfind(b"\n") + 1 if more else len(data)
        if end:
            yield Block(data[:end], first_line)
            first_line += data.count(b"\n", 0, end)
        data = data[end:] + more


def _read_up_to(stream: pa.NativeFile, size: int) -> bytes:
    """Return the requested number of bytes, or fewer at the end; single reads can be shorter."""
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def line_of_row(block: Block, row: int) -> int:
    """Return the line number of a row, which is counted from 1; empty lines are not rows."""
    seen = 0
    for offset, line in enumerate(block.data.split(b"\n")):
        seen += bool(line.strip(b"\r"))
        if seen == row:
            return block.first_line + offset
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
