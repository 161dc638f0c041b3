"""Declared columns: names and types that take precedence over those found in a source's data."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DataType = Literal[
    "text",
    "double",
    "bool",
    "timestamp",
    "bigint",
    "binary",
    "json",
    "decimal",
    "wei",
    "date",
    "time",
]

# Precision and scale of a decimal for which neither is declared: dlt's own.
DEFAULT_DECIMAL = (38, 9)


class ColumnConfig(BaseModel):
    """One declared column, in dlt's terms."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_type: DataType | None = Field(
        default=None, description="dlt's data type. Default: inferred from the data."
    )
    nullable: bool | None = Field(
        default=None, description="Whether values may be missing. Default: true."
    )
    precision: int | None = Field(
        default=None,
        ge=0,
        description="Digits of a decimal, bits of a bigint, or fractional digits of seconds.",
    )
    scale: int | None = Field(
        default=None, ge=0, description="Digits after the decimal point of a decimal."
    )
    timezone: bool | None = Field(
        default=None, description="Whether a timestamp has a time zone. Default: true."
    )
    description: str | None = Field(default=None, description="Description of the column.")
    hard_delete: bool | None = Field(
        default=None,
        description="Whether a merge deletes the row if this column is true, or has a value if it "
        "is not a boolean.",
    )
    dedup_sort: Literal["asc", "desc"] | None = Field(
        default=None,
        description="Which of several rows with the same key in one load a merge keeps: desc the "
        "one with the greatest value of this column, asc the one with the smallest. Default: the "
        "last one.",
    )

    @model_validator(mode="before")
    @classmethod
    def _a_type_alone_will_do(cls, value: Any) -> Any:
        return {"data_type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fields_fit_the_type(self) -> Self:
        if self.scale is not None and self.precision is None:
            msg = "scale needs a precision, such as precision: 18, scale: 2"
            raise ValueError(msg)
        return self

    def hints(self, name: str) -> dict[str, Any]:
        """Return the column as dlt expects it.

        Args:
            name: Name of the column.
        """
        hints = {"name": name, **self.model_dump(exclude_none=True)}
        if self.data_type == "wei":
            hints |= {"precision": DEFAULT_DECIMAL[0], "scale": 0}
        if self.data_type == "decimal":
            # Stated explicitly, so that it compares equal to the type that Arrow reports.
            precision, scale = DEFAULT_DECIMAL if self.precision is None else (self.precision, 0)
            hints = {**hints, "precision": precision, "scale": hints.get("scale", scale)}
        return hints
