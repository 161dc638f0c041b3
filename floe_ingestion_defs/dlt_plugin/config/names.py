"""Names of columns and resources: as a source spells them, and as the table does."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

RESOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def as_identifier(name: str) -> str:
    """Return dlt's normalized name of a table or a column.

    dlt is imported only if the name may change: it takes too long for loading a code location.
    """
    if _PLAIN_NAME.fullmatch(name):
        return name
    from dlt.common.normalizers.naming.snake_case import NamingConvention

    return NamingConvention().normalize_path(name)


def find_name(name: str, names: Iterable[str]) -> str | None:
    """Return the one of several names that a configured name refers to; None if none does.

    A configuration may use the spelling of the source or that of the table, and names may be in
    either. An exact match takes precedence.

    Args:
        name: Name of a column in the configuration.
        names: Names of the columns of a table, in the spelling of the source or of the table.
    """
    names = list(names)
    if name in names:
        return name
    wanted = as_identifier(name)
    found = [each for each in names if as_identifier(each) == wanted]
    return found[0] if len(found) == 1 else None


def default_resource_name(table: str) -> str:
    """Return the name of the resource of a database table for which none is configured.

    It is the table's name, or words made from it: accents are removed.

    Raises:
        ValueError: The table's name cannot be written as words in ASCII.
    """
    if RESOURCE_NAME.fullmatch(table):
        return table
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", table).casefold()
    letters = unicodedata.normalize("NFKD", spaced)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    lost = any(letter.isalnum() and not letter.isascii() for letter in plain)
    if lost or not RESOURCE_NAME.fullmatch(words):
        msg = (
            f"table {table!r} needs a name for its resource, in words of ASCII letters and digits; "
            f"set one, such as table_names: [{{table: {table}, name: orders}}]"
        )
        raise ValueError(msg)
    return words
