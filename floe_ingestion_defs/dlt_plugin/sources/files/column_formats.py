"""Dates and numbers of CSV that are written as in other countries, by column.

The columns are read as text. Each distinct value of a date is parsed by Python, which rejects the
31st of February; Arrow's `strptime` makes it the 2nd of March.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.dlt_plugin.sources.files.blocks import Block, line_of_row
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import BrokenFile
from floe_ingestion_defs.dlt_plugin.sources.files.exact_numbers import reject_rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes

_TIME = ("%H", "%I", "%X", "%c")
_NUMBER = r"^-?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]*)?$|^-?,[0-9]+$"


class ColumnFormats:
    """The formats of a source's columns.

    Args:
        options: Options of the source.
        types: Types of the table's columns.
    """

    def __init__(self, options: FilesystemOptions, types: KnownTypes) -> None:
        self._types = types
        self._dates = {types.key(name): text for name, text in options.date_formats.items()}
        self._numbers = {types.key(name) for name in options.decimal_comma}

    def among(self, names: Iterable[str]) -> list[str]:
        """Return those of the named columns that have a format."""
        return [name for name in names if self._types.key(name) in {*self._dates, *self._numbers}]

    def convert(self, table: pa.Table, block: Block) -> pa.Table:
        """Return the rows of a block with the values of columns that have a format.

        Raises:
            BrokenFile: A value does not match its column's format.
        """
        for name in self.among(table.schema.names):
            key = self._types.key(name)
            texts = pc.utf8_trim_whitespace(table[name])
            if key in self._dates:
                values = self._as_dates(texts, self._dates[key], name, block)
            else:
                values = self._as_numbers(texts, name, block)
            table = table.set_column(table.schema.get_field_index(name), name, values)
        return table

    def _as_dates(
        self, texts: pa.ChunkedArray, date_format: str, name: str, block: Block
    ) -> pa.ChunkedArray:
        distinct = pc.unique(texts)
        parsed: dict[str, datetime] = {}
        for text in distinct.drop_null().to_pylist():
            try:
                parsed[text] = datetime.strptime(text, date_format)
            except ValueError:
                wrong = f"date format {date_format!r}"
                self._mismatch(texts, text, f"the {wrong}", name, block)
        kind: pa.DataType = pa.date32()
        values: dict[str, date] = {text: value.date() for text, value in parsed.items()}
        if any(part in date_format for part in _TIME):
            kind = pa.timestamp("us", "UTC" if "%z" in date_format else None)
            values = {text: _in_utc(value) for text, value in parsed.items()}
        if len(parsed) == len(distinct.drop_null()):
            return _mapped(texts, distinct, values, kind)
        # The contract judges the values that do not match, beside the others as ISO 8601.
        written = {text: value.isoformat() for text, value in values.items()}
        return _mapped(texts, distinct, written, pa.string())

    def _as_numbers(self, texts: pa.ChunkedArray, name: str, block: Block) -> pa.ChunkedArray:
        wanted = self._types.of([name]).get(name)
        if wanted == pa.string():
            return texts
        matches = pc.fill_null(pc.match_substring_regex(texts, _NUMBER), True)
        if not pc.all(matches).as_py():
            wrong = texts[pc.index(matches, False).as_py()].as_py()
            self._mismatch(texts, wrong, "a number with a decimal comma", name, block)
        plain = pc.replace_substring(pc.replace_substring(texts, ".", ""), ",", ".")
        # With quotes, the contract does not take 3.5 for a number.
        quoted = pc.binary_join_element_wise("'", texts, "'", "")
        plain = pc.if_else(matches, plain, quoted)
        if wanted not in (None, pa.float64()) or not pc.all(matches).as_py():
            return plain
        if not self._types.declared_among([name]):
            reject_rounded(plain, name, block)
        return plain.cast(pa.float64())

    def _mismatch(
        self, texts: pa.ChunkedArray, value: str, expected: str, name: str, block: Block
    ) -> None:
        """Reject a value, unless the contract judges the column's values."""
        if self._types.lenient:
            return
        row = pc.index(texts, value).as_py() + 1
        place = [f"line {line_of_row(block, row)}", f"column {name!r}"]
        problem = (
            f"is not {expected}" if expected.startswith("a ") else f"does not match {expected}"
        )
        advice = "; correct the file or the format in source_config"
        shown = f"{value!r} {problem}"
        raise BrokenFile(shown, place, advice, without_values=f"a value {problem}")


def _mapped(
    texts: pa.ChunkedArray, distinct: pa.Array, values: Mapping[str, object], kind: pa.DataType
) -> pa.ChunkedArray:
    """Return a column with each text replaced by its value, or kept where it has none."""
    mapped = pa.array([values.get(text, text) for text in distinct.to_pylist()], kind)
    positions = pc.index_in(texts, distinct)
    return pa.chunked_array([mapped.take(chunk) for chunk in positions.chunks], kind)


def _in_utc(value: datetime) -> datetime:
    return value if value.tzinfo is None else value.astimezone(UTC)
