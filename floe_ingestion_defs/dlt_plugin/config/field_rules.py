"""Rules of single fields of a configuration that go beyond the field's type.

The models call each as a validator of its field. It returns the value, or raises `ValueError` with
the value and the fix.
"""

from __future__ import annotations

import re
from typing import Any

_WORDS = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
_SOURCE_NAME = re.compile(_WORDS)
# Any other name than words is quoted, as in SQL.
_COLUMN = r'(?:\w+|"[^"]+")'
_PARTITION = re.compile(
    rf"{_COLUMN}|(?:identity|year|month|day|hour)\(\s*{_COLUMN}\s*\)"
    rf"|(?:bucket|truncate)\(\s*[1-9]\d*\s*,\s*{_COLUMN}\s*\)"
)
# dlt rejects longer schema names, and the schema is named after the source.
_LONGEST_NAME = 64


def as_words(text: str) -> str:
    """Return a valid name made from any string: lower-case words joined by underscores."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "name"


def check_source_name(value: str) -> str:
    """Reject names that would be changed as the name of a pipeline, schema or asset key."""
    if not _SOURCE_NAME.fullmatch(value) or len(value) > _LONGEST_NAME:
        msg = (
            f"{value!r} is not a valid name; use lower-case words joined by single underscores, "
            f"at most {_LONGEST_NAME} characters, such as {as_words(value)[:_LONGEST_NAME]!r}"
        )
        raise ValueError(msg)
    return value


# Their names where a catalog accepts no leading underscore; elsewhere they have one. One
# configuration is used with several catalogs, so they are reserved in each.
_BOOKKEEPING = frozenset({"dlt_loads", "dlt_version", "dlt_pipeline_state"})


def check_destination_table(value: str) -> str:
    """Reject a table identifier that is not `namespace.table`."""
    namespace, dot, table = value.partition(".")
    plain = table.replace("{resource}", "resource")
    if table.lstrip("_") in _BOOKKEEPING:
        msg = (
            f"{table!r} is reserved for the table in which dlt and this project record loads, "
            "schemas or states; use another table, such as "
            f"'{namespace}.{table.lstrip('_').removeprefix('dlt_')}'"
        )
        raise ValueError(msg)
    if not dot and re.fullmatch(_WORDS, value.replace("{resource}", "resource")):
        msg = f"{value!r} has no namespace; use namespace.table, such as 'bronze.{value}'"
        raise ValueError(msg)
    if not re.fullmatch(_WORDS, namespace) or not re.fullmatch(_WORDS, plain):
        words = ".".join(
            as_words(part.replace("{resource}", "RESOURCE")).replace("resource", "{resource}")
            if "{resource}" in part
            else as_words(part)
            for part in ([namespace, table] if dot else ["bronze", value])
        )
        msg = (
            f"{value!r} is not a valid table identifier; use namespace.table, in lower-case words "
            f"joined by single underscores, such as {words!r}"
        )
        raise ValueError(msg)
    return value


def check_table_is_given(value: Any) -> Any:
    """Reject a table that is empty, as YAML reads a key without a value."""
    if value is None:
        msg = "it has no value; use namespace.table, such as 'bronze.orders'"
        raise ValueError(msg)
    return value


def check_lag(value: Any) -> Any:
    """Reject a lag in words; its unit is that of the cursor."""
    if isinstance(value, str) and not re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        msg = (
            f"{value!r} is not a number; use seconds for timestamps and days for dates, such as "
            "3600 for an hour"
        )
        raise ValueError(msg)
    return value


def check_key(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Reject keys without columns, and keys with the same column twice."""
    if value is not None and (not value or not all(value) or len(set(value)) != len(value)):
        msg = f"{list(value)!r} is not a valid key; list each of its columns once"
        raise ValueError(msg)
    return value


def check_partitions(value: tuple[str, ...]) -> tuple[str, ...]:
    """Reject a partition that is neither a column nor an Iceberg transform of one."""
    for partition in value:
        if not _PARTITION.fullmatch(partition.strip()):
            msg = (
                f"{partition!r} is not a valid partition; use a column, year(c), month(c), day(c), "
                "hour(c), bucket(16, c) or truncate(4, c); put a name such as Order ID in double "
                "quotes"
            )
            raise ValueError(msg)
    return value
