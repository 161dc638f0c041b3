"""Values in a form that JSON carries and that every engine agrees on, regardless of its types."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """Return a value for JSON: equal values of two engines have equal forms.

    Timestamps with a time zone become UTC's and end with `+00:00`; a decimal loses the zeros at its
    end; bytes become hexadecimal digits; a float becomes its representation, so that NaN equals
    NaN and 1.0 does not equal 1.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return repr(value)
        case Decimal():
            return format(value.normalize() + 0, "f")
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case Mapping():
            return {str(plain(k)): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
    msg = f"{type(value)} has no plain form"
    raise TypeError(msg)
