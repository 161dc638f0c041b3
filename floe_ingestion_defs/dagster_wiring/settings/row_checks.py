"""Checks of the values in rows: accepted values and ranges, SQL expressions, Python functions."""

import re
from abc import abstractmethod
from collections.abc import Callable, Container, Mapping
from datetime import date, datetime
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from floe_ingestion_defs.dagster_wiring.settings.check import Check
from floe_ingestion_defs.dagster_wiring.settings.types import OneOrMore, Settings
from floe_ingestion_defs.dlt_plugin import ResourceSpec

Value = bool | int | float | date | datetime | str
_CHECK_NAME = re.compile(r"[A-Za-z0-9_]+")
_FUNCTION = re.compile(r"[\w.]+:\w+")


class RowsCheck(Check):
    """Settings of all checks that read the values in rows."""

    is_per_partition: ClassVar[bool] = True

    scope: Literal["load", "table"] = Field(
        default="load", description="The rows to verify: those of the last load, or all rows."
    )


class ConditionsCheck(RowsCheck):
    """A check by conditions in SQL, which DuckDB evaluates."""

    @abstractmethod
    def conditions(self) -> Mapping[str, str]:
        """Return the conditions that every row meets, by what a violation is called."""

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        if find_spec("duckdb") is None:
            msg = (
                "checks of values require DuckDB; install the extra: "
                "pip install 'floe-ingestion-defs[duckdb]'"
            )
            raise ValueError(msg)
        return f"{self._subject()} of {'the last load' if self.scope == 'load' else 'the table'}."

    @abstractmethod
    def _subject(self) -> str: ...


class AcceptedValuesCheck(ConditionsCheck):
    """Columns have only given values; a missing value is accepted."""

    columns: dict[str, OneOrMore[Value]] = Field(
        min_length=1, description="Accepted values by column, such as `{status: [open, closed]}`."
    )

    def conditions(self) -> Mapping[str, str]:
        """See `ConditionsCheck.conditions`."""
        return {
            f"values of `{name}`": f"{_quote(name)} in ({', '.join(map(_literal, values))})"
            for name, values in self.columns.items()
        }

    def _subject(self) -> str:
        return f"Only accepted values are in `{', '.join(self.columns)}`, in all rows"


class Range(Settings):
    """The accepted range of the values of a column; at least one bound."""

    min: Value | None = Field(default=None, description="Smallest accepted value.")
    max: Value | None = Field(default=None, description="Largest accepted value.")

    @model_validator(mode="after")
    def _is_bounded(self) -> "Range":
        if self.min is None and self.max is None:
            msg = "set min, max or both"
            raise ValueError(msg)
        return self


class AcceptedRangeCheck(ConditionsCheck):
    """Values of columns are in given ranges, bounds included; a missing value is accepted."""

    columns: dict[str, Range] = Field(
        min_length=1, description="Accepted range by column, such as `{total: {min: 0}}`."
    )

    def conditions(self) -> Mapping[str, str]:
        """See `ConditionsCheck.conditions`."""
        return {
            f"values of `{name}`": " and ".join(
                f"{_quote(name)} {operator} {_literal(bound)}"
                for operator, bound in ((">=", accepted.min), ("<=", accepted.max))
                if bound is not None
            )
            for name, accepted in self.columns.items()
        }

    def _subject(self) -> str:
        return f"All values of `{', '.join(self.columns)}` are in the accepted range, in all rows"


def _require_expression(text: str) -> str:
    """Verify that a text is one SQL expression, without a query."""
    import sqlglot
    from sqlglot import expressions
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse(text, dialect="duckdb")
    except SqlglotError as error:
        first = str(error).partition("\n")[0]
        msg = f"{text!r} is not a valid SQL expression: {first}"
        raise ValueError(msg) from None
    (expression, *more) = parsed or [None]
    if expression is None or more or not isinstance(expression, expressions.Condition):
        msg = f"{text!r} must be one SQL expression that is true or false, such as 'total >= 0'"
        raise ValueError(msg)
    if expression.find(expressions.Query) is not None:
        msg = f"{text!r} must be an expression over the columns of the table, without SELECT"
        raise ValueError(msg)
    return text


class ExpressionCheck(ConditionsCheck):
    """A SQL expression is true in every row, or for all rows together if it aggregates them."""

    sql: Annotated[str, AfterValidator(_require_expression)] = Field(
        description="Expression over the columns of the table in DuckDB's SQL, such as "
        "'shipped_at >= ordered_at'; with aggregates such as 'count(*) > 100', of all rows "
        "together. Null counts as true, as in a CHECK constraint."
    )

    def conditions(self) -> Mapping[str, str]:
        """See `ConditionsCheck.conditions`."""
        return {f"`{self.sql}`": self.sql}

    def _subject(self) -> str:
        return f"`{self.sql}` is true in all rows"


def _require_function(path: str) -> str:
    if not _FUNCTION.fullmatch(path):
        msg = f"{path!r} is not a valid function; use 'module:function'"
        raise ValueError(msg)
    return path


class FunctionCheck(RowsCheck):
    """A user's Python function accepts the rows."""

    function: Annotated[str, AfterValidator(_require_function)] = Field(
        description="The function, as 'module:function'. It takes a `pyarrow.RecordBatchReader`, "
        "and returns a boolean or a `dagster.AssetCheckResult`."
    )
    columns: OneOrMore[str] = Field(
        default=(), description="Columns that the function reads. Default: all."
    )

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        documented = (self.load.__doc__ or "").strip().partition("\n")[0]
        return documented or f"`{self.function}` accepts the rows."

    @cached_property
    def load(self) -> Callable[..., Any]:
        """The function.

        Raises:
            ValueError: It does not exist.
        """
        module, _, name = self.function.partition(":")
        try:
            found = getattr(import_module(module), name, None)
        except ModuleNotFoundError as missing:
            if missing.name is None or not module.startswith(missing.name):
                raise
            msg = f"function {self.function!r}: module {module} not found"
            raise ValueError(msg) from None
        if not callable(found):
            msg = f"function {self.function!r}: module {module} has no function {name!r}"
            raise ValueError(msg)
        function: Callable[..., Any] = found
        return function


def _named(field: str, check: type[Check]) -> BeforeValidator:
    """Return a validator that accepts the main field of a check alone, and `false`."""

    def expand(value: Any) -> Any:
        if isinstance(value, str):
            return {field: value}
        return None if value is False else value

    short = check | str | Literal[False] | None
    return BeforeValidator(expand, json_schema_input_type=short)


NamedExpression = Annotated[ExpressionCheck | None, _named("sql", ExpressionCheck)]
NamedFunction = Annotated[FunctionCheck | None, _named("function", FunctionCheck)]


def require_check_name(name: str, taken: Container[str]) -> None:
    """Verify that a user's check can have a name.

    Args:
        name: The name.
        taken: Names of other checks.

    Raises:
        ValueError: It cannot.
    """
    if not _CHECK_NAME.fullmatch(name):
        msg = f"{name!r} is not a valid check name; use letters, digits and underscores"
        raise ValueError(msg)
    if name in taken:
        msg = f"{name!r} is the name of a built-in check; choose another one"
        raise ValueError(msg)


def _quote(column: str) -> str:
    escaped = column.replace('"', '""')
    return f'"{escaped}"'


def _literal(value: Value) -> str:
    """Return a value in quotes, which DuckDB converts to the type that it is compared with."""
    if isinstance(value, bool):
        return f"'{str(value).lower()}'"
    text = value.isoformat() if isinstance(value, date) else str(value)
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
