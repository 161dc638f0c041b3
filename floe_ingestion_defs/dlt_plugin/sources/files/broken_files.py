"""Errors of files that cannot be read, with line and column.

Arrow's own messages contain the value that could not be read, which may be personal data: it is
shown only if that is allowed. They contain the row only if a block is parsed by a single thread.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa

from floe_ingestion_defs.dlt_plugin.schema_contract.contract import CONFLICT_REMEDY
from floe_ingestion_defs.dlt_plugin.sources.files.blocks import Block, line_of_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ROW = re.compile(r"Row #(\d+)|in row (\d+)")
_COLUMN = re.compile(r"In CSV column #(\d+)|Column\(/([^)]*)\)")
# Messages of Arrow, or their beginnings, without values; those about JSON are RapidJSON's.
_NO_VALUES = re.compile(
    r"Expected \d+ columns, got \d+|conversion error to [^:]+|Failed to convert JSON to \w+"
    r"|changed from \w+ to \w+|was specified twice|JSON parse error: "
    r"(Invalid value|Missing a \w+[^.:'\"]*|Terminate parsing[^.:'\"]*|The document [^.:'\"]*"
    r"|Invalid (?:encoding|escape)[^.:'\"]*|Number too big[^.:'\"]*)"
)
_OTHER_TYPE = ("conversion error", "changed from", "convert")
TOO_NARROW = f"; declare the column under `columns` before its first load, or {CONFLICT_REMEDY}"
_NOT_UTF8 = "text that is not UTF-8"
_ENCODING = "; set source_config.encoding, such as latin-1"
# For less, threads are not worthwhile.
_THREADED_BYTES = 256 * 1024


class BrokenFile(Exception):
    """A file, or a block of one, that cannot be read.

    Args:
        problem: The error, including values; Arrow's message or our own.
        where: Line or row, and column, if known.
        advice: How to fix it.
        without_values: The error without values, if that differs.
    """

    def __init__(
        self,
        problem: str,
        where: Sequence[str] = (),
        advice: str = "",
        without_values: str | None = None,
    ) -> None:
        super().__init__(problem)
        self._problem = problem
        self._where = where
        self._advice = advice
        self._without_values = problem if without_values is None else without_values

    def describe(self, name: str, *, show_values: bool) -> str:
        """Return the error's message.

        Args:
            name: Name of the file.
            show_values: Whether the message may contain values of the file.
        """
        text = self._problem if show_values else self._without_values
        return f"{': '.join([name, *self._where, _without_place(text)])}{self._advice}"


def parse_block(
    parse: Callable[[Block, bool], pa.Table],
    block: Block,
    names: Sequence[str] = (),
) -> pa.Table:
    """Parse a block; if that fails, parse it again to find the number of the line.

    Args:
        parse: Parses a block, with or without threads.
        block: The block.
        names: Names of the columns of a csv file.

    Raises:
        BrokenFile: The block cannot be parsed.
    """
    try:
        return parse(block, len(block.data) >= _THREADED_BYTES)
    except pa.ArrowInvalid:
        # Arrow's errors contain the row number only if it does not use threads.
        try:
            return parse(block, False)
        except pa.ArrowInvalid as error:
            raise broken_by(str(error), block, names) from None


def broken_by(text: str, block: Block | None = None, names: Sequence[str] = ()) -> BrokenFile:
    """Return the error for a message of Arrow about a file.

    Args:
        text: Arrow's message.
        block: The block that it is about; without one, the error has a row instead of a line.
        names: Names of the columns of a csv file.
    """
    where = []
    if found := _ROW.search(text):
        # Arrow counts CSV rows from 1 and JSON rows from 0.
        row = int(found[1]) if found[1] else int(found[2]) + 1
        where.append(f"row {row}" if block is None else f"{block.unit} {line_of_row(block, row)}")
    name = column_of(text, names)
    if name is not None:
        where.append(f"column {name!r}")
    if "Column() changed from object" in text:
        return BrokenFile("not a JSON object", where)
    if "UTF8" in text:
        return BrokenFile(_NOT_UTF8, where, _ENCODING)
    advice = TOO_NARROW if any(part in text for part in _OTHER_TYPE) else ""
    return BrokenFile(text, where, advice, _without_values(text))


def column_of(text: str, names: Sequence[str] = ()) -> str | None:
    """Return the name of the column in a message of Arrow."""
    found = _COLUMN.search(text)
    if found is None:
        return None
    if found[1] is None:
        return found[2] or None
    return names[int(found[1])] if int(found[1]) < len(names) else None


def reject_repeated_names(names: Sequence[str], place: str, line: int | None = None) -> None:
    """Reject a file of which several columns have the same name.

    Args:
        names: Names of its columns.
        place: Where they stand.
        line: The line of a text file in which they do.

    Raises:
        BrokenFile: A name occurs more than once.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        problem = f"column {twice[0]!r} occurs more than once {place}"
        raise BrokenFile(problem, [] if line is None else [f"line {line}"])


def not_utf8(block: Block, column: str | None = None) -> BrokenFile:
    """Return the error of a block with bytes that are not UTF-8, with the line of the first."""
    where = [] if column is None else [f"column {column!r}"]
    try:
        block.data.decode()
    except UnicodeDecodeError as error:
        line = block.first_line + block.data.count(b"\n", 0, error.start)
        where.insert(0, f"{block.unit} {line}")
    return BrokenFile(_NOT_UTF8, where, _ENCODING)


def _without_place(text: str) -> str:
    text = re.sub(r"^In CSV column #\d+: ", "", text)
    text = re.sub(r"(?:CSV|JSON) parse error: ", "", text)
    text = re.sub(r"Row #\d+: ", "", text)
    text = re.sub(r"Column\(/?[^)]*\) ", "", text)
    return re.sub(r",? ?in row \d+", "", text)


def _without_values(text: str) -> str:
    """Return the part of Arrow's message that names types and numbers only."""
    found = _NO_VALUES.search(text)
    return found[0] if found else "cannot be parsed; set show_values: true to see the reason"
