"""The schema elements of a Parquet footer, read and written without changing the rest of it.

A footer is one `FileMetaData` of Thrift's compact protocol. Its `schema` is a list of
`SchemaElement`; everything else, row groups above all, is copied byte for byte, so statistics and
offsets stay valid. Only the fields of schema elements that are needed are interpreted; all others
are preserved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"PAR1"
# The length of the footer and the magic bytes, which end a file.
TAIL_BYTES = 8

_SCHEMA = 2
_NAME, _NUM_CHILDREN, _FIELD_ID = 4, 5, 9
# Thrift's compact types.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = range(
    1, 14
)
_FIXED_BYTES = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}
_LONGEST_VARINT = 10
_DEEPEST = 32


class InvalidFooter(ValueError):
    """The bytes are not a footer that this module can read."""


@dataclass
class SchemaElement:
    """A node of a Parquet schema.

    Attributes:
        fields: The type and the encoded value of each Thrift field, by its number.
    """

    fields: dict[int, tuple[int, bytes]]

    @property
    def name(self) -> str:
        """The name of the node."""
        return _Reader(self._value(_NAME, _BINARY)).binary().decode()

    @property
    def num_children(self) -> int:
        """The number of nodes below this one; 0 for a column."""
        if _NUM_CHILDREN not in self.fields:
            return 0
        return _from_zigzag(_Reader(self._value(_NUM_CHILDREN, _I32)).varint())

    def set_field_id(self, field_id: int | None) -> None:
        """Set the field id, or remove it where it is None."""
        self.fields.pop(_FIELD_ID, None)
        if field_id is not None:
            self.fields[_FIELD_ID] = (_I32, _varint(_to_zigzag(field_id)))

    def _value(self, number: int, kind: int) -> bytes:
        found = self.fields.get(number)
        if found is None or found[0] != kind:
            msg = f"a schema element lacks its field {number}"
            raise InvalidFooter(msg)
        return found[1]


def split_footer(footer: bytes) -> tuple[bytes, list[SchemaElement], bytes]:
    """Return the bytes before the schema's elements, the elements, and the bytes after them.

    Raises:
        InvalidFooter: The footer is damaged, or its schema is missing.
    """
    reader = _Reader(footer)
    number = 0
    while True:
        number, kind = reader.field_header(number)
        if kind == 0:
            msg = "a footer without a schema"
            raise InvalidFooter(msg)
        if number == _SCHEMA and kind == _LIST:
            break
        reader.skip(kind)
    start = reader.position
    count, kind = reader.list_header()
    if kind != _STRUCT:
        msg = "a schema that is not a list of elements"
        raise InvalidFooter(msg)
    elements = [reader.schema_element() for _ in range(count)]
    return footer[:start], elements, footer[reader.position :]


def join_footer(before: bytes, elements: Sequence[SchemaElement], after: bytes) -> bytes:
    """Return the footer that `split_footer` would split into these."""
    parts = [before, _list_header(len(elements), _STRUCT)]
    for element in elements:
        last = 0
        for number, (kind, value) in sorted(element.fields.items()):
            parts += (_field_header(number, last, kind), value)
            last = number
        parts.append(b"\0")
    return b"".join([*parts, after])


class _Reader:
    """A cursor over bytes of Thrift's compact protocol; it never reads past their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def byte(self) -> int:
        return self.take(1)[0]

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            msg = "the footer ends early"
            raise InvalidFooter(msg)
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def varint(self) -> int:
        value = 0
        for place in range(_LONGEST_VARINT):
            byte = self.byte()
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return value
        msg = "a number that is too long"
        raise InvalidFooter(msg)

    def binary(self) -> bytes:
        return self.take(self.varint())

    def field_header(self, last: int) -> tuple[int, int]:
        """Return number and type of the next field; type 0 ends a struct."""
        byte = self.byte()
        delta, kind = byte >> 4, byte & 0x0F
        if kind == 0:
            return last, 0
        return (last + delta if delta else _from_zigzag(self.varint())), kind

    def list_header(self) -> tuple[int, int]:
        byte = self.byte()
        count, kind = byte >> 4, byte & 0x0F
        return (self.varint() if count == 0x0F else count), kind

    def schema_element(self) -> SchemaElement:
        fields: dict[int, tuple[int, bytes]] = {}
        number = 0
        while True:
            number, kind = self.field_header(number)
            if kind == 0:
                return SchemaElement(fields)
            start = self.position
            self.skip(kind)
            fields[number] = (kind, self._data[start : self.position])

    def skip(self, kind: int, depth: int = 0) -> None:
        """Skip the value of a field."""
        if depth > _DEEPEST:
            msg = "values are nested too deeply"
            raise InvalidFooter(msg)
        if kind in (_TRUE, _FALSE):
            return  # The type is the value.
        if kind in _FIXED_BYTES:
            self.take(_FIXED_BYTES[kind])
        elif kind in (_I16, _I32, _I64):
            self.varint()
        elif kind == _BINARY:
            self.binary()
        elif kind in (_LIST, _SET):
            count, item = self.list_header()
            self._skip_items(count, (item,), depth)
        elif kind == _MAP:
            if count := self.varint():
                kinds = self.byte()
                self._skip_items(count, (kinds >> 4, kinds & 0x0F), depth)
        elif kind == _STRUCT:
            number = 0
            while True:
                number, inner = self.field_header(number)
                if inner == 0:
                    return
                self.skip(inner, depth + 1)
        else:
            msg = f"a value of the unknown type {kind}"
            raise InvalidFooter(msg)

    def _skip_items(self, count: int, kinds: tuple[int, ...], depth: int) -> None:
        for _ in range(count):
            for kind in kinds:
                # In a collection a boolean takes a byte.
                self.skip(_BYTE if kind in (_TRUE, _FALSE) else kind, depth + 1)


def _field_header(number: int, last: int, kind: int) -> bytes:
    delta = number - last
    if 0 < delta <= 0x0F:
        return bytes([delta << 4 | kind])
    return bytes([kind]) + _varint(_to_zigzag(number))


def _list_header(count: int, kind: int) -> bytes:
    return bytes([count << 4 | kind]) if count < 0x0F else bytes([0xF0 | kind]) + _varint(count)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _to_zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _from_zigzag(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -(value >> 1) - 1
