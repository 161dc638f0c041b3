"""Declared columns: names and types that win over whatever a source's data look like."""

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

# Precision and scale of a decimal of which neither is declared: dlt's own.
DEFAULT_DECIMAL = (38, 9)


class ColumnConfig(BaseModel):
    """One declared column, in dlt's terms."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_type: DataType | None = Field(
        default=None, description="dlt's data type; left out, it is taken from the data."
    )
    nullable: bool | None = Field(
        default=None, description="Whether values may be missing; they may by default."
    )
    precision: int | None = Field(
        default=None, ge=0, description="Digits of a decimal, bits of a bigint, or of seconds."
    )
    scale: int | None = Field(default=None, ge=0, description="Digits after a decimal's point.")
    timezone: bool | None = Field(
        default=None, description="Whether a timestamp has a time zone; it has by default."
    )
    description: str | None = Field(default=None, description="What the column holds.")
    hard_delete: bool | None = Field(
        default=None, description="Whether a true or non-missing value deletes the row in a merge."
    )
    dedup_sort: Literal["asc", "desc"] | None = Field(
        default=None, description="Which of several rows of one key wins: the last in this order."
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
        """Give the column as dlt takes it.

        Args:
            name: Name of the column.
        """
        hints = {"name": name, **self.model_dump(exclude_none=True)}
        if self.data_type == "wei":
            hints |= {"precision": DEFAULT_DECIMAL[0], "scale": 0}
        if self.data_type == "decimal":
            # Said outright, so that it compares equal with what Arrow says of the values.
            precision, scale = DEFAULT_DECIMAL if self.precision is None else (self.precision, 0)
            hints = {**hints, "precision": precision, "scale": hints.get("scale", scale)}
        return hints
