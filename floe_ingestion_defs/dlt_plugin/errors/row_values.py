"""Describes errors whose messages can contain values of rows, without those values.

A library quotes the value that it could not convert, and the value may be personal data. Such an
error is described by its class and its place, unless the source allows values to be shown.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.errors.categories import SETUP_ERRORS, class_names

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADVICE = (
    "the message is not shown, because it can contain values of rows; set show_values: true on the "
    "source to see it"
)
# Their errors are about requests, catalogs and settings, or were made without values.
_WITHOUT_VALUES = frozenset(
    {"floe_ingestion_defs", "requests", "urllib3", "aiohttp", "botocore", "pyiceberg"}
)
# dlt's errors with a value or a row in their message that are not among the built-in classes.
_OF_DLT = frozenset(
    {
        "CannotCoerceColumnException",
        "IncrementalCursorInvalidCoercion",
        "InvalidResourceDataType",
    }
)
# dlt's errors that name the column, and wrap the one of Arrow or of the dict that lacks it.
_WITH_COLUMN = frozenset(
    {
        "IncrementalCursorPathHasValueNone",
        "IncrementalCursorPathMissing",
        "IncrementalPrimaryKeyMissing",
    }
)
_OF_DATABASES = frozenset({"DataError", "IntegrityError"})
# Classes "data exception", "integrity constraint violation" and "raise exception":
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES = ("22", "23")
_RAISED_BY_CODE = "P0"
_STREAM = "[libpq]"
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\([^)]*\)=\([^)]*\)")


class ValuesHidden(Exception):
    """Stands for an error whose message is not shown; has its stack trace."""


def described_without_values(chain: Sequence[BaseException]) -> str | None:
    """Return a description of the innermost error that can contain values of rows.

    Args:
        chain: An error and those that it wraps, outermost first.

    Returns:
        Its description without them; None if no error of the chain can contain any.
    """
    for error in chain:
        if type(error).__name__ in _WITH_COLUMN:
            return f"{type(error).__name__}: {error}"
    found = innermost_with_values(chain)
    return None if found is None else _description(found)


def innermost_with_values(chain: Sequence[BaseException]) -> BaseException | None:
    """Return the innermost error whose message can contain values of rows, if there is one."""
    return next((error for error in reversed(chain) if _can_contain_values(error)), None)


def _can_contain_values(error: BaseException) -> bool:
    kinds = type(error).__mro__
    names = {kind.__name__ for kind in kinds}
    if type(error).__module__.partition(".")[0] in _WITHOUT_VALUES:
        return False
    # Position and reason only, whichever library raised it.
    if "JSONDecodeError" in names or class_names(error) & SETUP_ERRORS:
        return False
    if type(error).__module__.startswith("dlt."):
        return bool(names & _OF_DLT)
    return _is_database_s(error) or (
        isinstance(error, (ValueError, TypeError, LookupError, ArithmeticError, AssertionError))
    )


def _is_database_s(error: BaseException) -> bool:
    code = _sqlstate(error)
    if code[:2] in (*_SQLSTATES, _RAISED_BY_CODE):
        return True
    if isinstance(error, OSError):
        return _STREAM in str(error)
    return any(kind.__name__ in _OF_DATABASES for kind in type(error).__mro__)


def _sqlstate(error: BaseException) -> str:
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return code if isinstance(code, str) else ""


def _description(error: BaseException) -> str:
    name = type(error).__name__
    if _is_database_s(error) and _sqlstate(error)[:2] != _RAISED_BY_CODE:
        # The further lines, DETAIL and CONTEXT, contain rows.
        return f"{name}: {_QUOTED.sub('…', str(error).partition(chr(10))[0])}"
    place = place_in_user_code(error)
    problem = f"{name}{_model_errors(error)}{f' in {place}' if place else ''}"
    return f"{problem}; {_ADVICE}"


def _model_errors(error: BaseException) -> str:
    """Return the fields and the rules that a pydantic model found to be violated."""
    errors: Any = getattr(error, "errors", None)
    title = getattr(error, "title", None)
    if type(error).__module__.partition(".")[0] != "pydantic_core" or not callable(errors):
        return ""
    found = errors(include_input=False, include_url=False, include_context=False)
    rules = (f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in found)
    return f" of model {title} ({'; '.join(rules)})"


def place_in_user_code(error: BaseException) -> str:
    """Return file, line and function of the user's code that an error was raised through."""
    ours = Path(__file__).parents[2]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        is_library = "site-packages" in path.parts or "dist-packages" in path.parts
        if path.exists() and not is_library and ours not in path.parents:
            return f"{path.name}, line {frame.lineno}, {frame.name}"
    return ""
