"""Splits a file that is one JSON array into blocks of its elements, one per line.

The file is searched for the commas between the elements, and not parsed: the reader of JSON lines
reads the elements, and memory is bounded by the block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from floe_ingestion_defs.dlt_plugin.sources.files.blocks import UTF8_MARK, Block, LongRow
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import BrokenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pyarrow as pa

    Flags = npt.NDArray[np.bool_]

_SPACE = b" \t\r\n"


def read_array_blocks(stream: pa.NativeFile, block_size: int) -> Iterator[Block]:
    """Yield blocks of the elements of an array, each on a line of its own.

    Args:
        stream: The text, as UTF-8.
        block_size: Bytes of a block, into which an element must fit.

    Raises:
        BrokenFile: The text is not an array, or the array is incomplete.
        LongRow: An element does not fit into a block.
    """
    data = _after_bracket(stream, block_size)
    if data is None:
        return
    row = 1
    closed = False
    while not closed:
        more = stream.read(block_size)
        data += more
        lines, rows, used, closed = _split(data, row)
        if closed:
            _require_end(data[used:], stream, block_size)
        elif not more:
            msg = "the array is not closed: the file is incomplete"
            raise BrokenFile(msg, [f"row {row + rows}"])
        elif not used and len(data) >= block_size:
            raise LongRow(row, block_size, "row")
        if rows:
            yield Block(lines, row, unit="row")
        row += rows
        data = data[used:]


def _after_bracket(stream: pa.NativeFile, block_size: int) -> bytes | None:
    """Return the beginning of the text after the array's bracket; None if there is no text."""
    data = stream.read(block_size).removeprefix(UTF8_MARK).lstrip(_SPACE)
    while not data:
        more = stream.read(block_size)
        if not more:
            return None
        data = more.lstrip(_SPACE)
    if data.startswith(b"["):
        return bytes(data[1:])
    msg = "not a JSON array"
    advice = "; set source_config.format: jsonl if each line is an object"
    raise BrokenFile(msg, advice=advice if data.startswith(b"{") else "")


def _split(data: bytes, row: int) -> tuple[bytes, int, int, bool]:
    """Return whole elements as lines, their number, the bytes used, and whether the array ends."""
    text = np.frombuffer(data, np.uint8)
    outside = _outside_of_strings(text)
    opens = ((text == ord("{")) | (text == ord("["))) & outside
    closes = ((text == ord("}")) | (text == ord("]"))) & outside
    depth = np.cumsum(opens.astype(np.int8) - closes.astype(np.int8), dtype=np.int32)
    commas = np.flatnonzero((text == ord(",")) & outside & (depth == 0))
    ends = np.flatnonzero(closes & (depth < 0))
    closed = bool(len(ends))
    if closed:
        end, used = int(ends[0]), int(ends[0]) + 1
        commas = commas[commas < end]
    elif len(commas):
        end, used = int(commas[-1]), int(commas[-1]) + 1
        commas = commas[:-1]
    else:
        return b"", 0, 0, False
    lines = text[:end].copy()
    breaks = ((lines == ord("\n")) | (lines == ord("\r"))) & outside[:end]
    lines[breaks] = ord(" ")
    lines[commas] = ord("\n")
    elements = lines.tobytes()
    if closed and row == 1 and not elements.strip(_SPACE):
        return b"", 0, used, True
    parts = len(commas) + 1
    objects = int(np.count_nonzero(opens[:end] & (depth[:end] == 1)))
    if objects > parts or not all(line.strip(_SPACE) for line in elements.split(b"\n")):
        msg = "the elements of the array are not separated by one comma each"
        raise BrokenFile(msg, [f"row {row} or later"])
    return elements, parts, used, closed


def _outside_of_strings(text: npt.NDArray[np.uint8]) -> Flags:
    quotes = text == ord('"')
    slashes = text == ord("\\")
    if slashes.any():
        # A quote after an odd number of backslashes is part of the string.
        positions = np.arange(len(text))
        before = np.maximum.accumulate(np.where(slashes, -1, positions))
        found = np.flatnonzero(quotes)
        found = found[found > 0]
        escaped = (found - 1 - before[found - 1]) % 2 == 1
        quotes[found[escaped]] = False
    return np.asarray(np.cumsum(quotes, dtype=np.uint8) % 2 == 0)


def _require_end(rest: bytes, stream: pa.NativeFile, block_size: int) -> None:
    while not rest.strip(_SPACE):
        rest = stream.read(block_size)
        if not rest:
            return
    msg = "text after the end of the array"
    raise BrokenFile(msg)
