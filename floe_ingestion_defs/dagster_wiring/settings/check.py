"""`Check`: the settings that all checks share, and their short forms in YAML."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from floe_ingestion_defs.dagster_wiring.settings.types import Settings
from floe_ingestion_defs.dlt_plugin import ResourceSpec


class Check(Settings, ABC):
    """Settings that all checks share."""

    severity: Literal["warn", "error"] = Field(
        default="error", description="Severity of a failed check."
    )
    blocking: bool | Literal["before_publish"] = Field(
        default=False,
        description="Whether the check is evaluated before rows become visible: a load that fails "
        "it is not published, and downstream assets do not run. 'before_publish' is the same as "
        "true. A freshness check only stops downstream assets.",
    )

    @abstractmethod
    def describe(self, resource: ResourceSpec) -> str:
        """Return one sentence about what the check requires of a resource's table.

        Raises:
            ValueError: The check does not apply to the resource; says what is missing.
        """

    # Whether the check is of the rows of a load, which can be verified before publication.
    is_of_rows: ClassVar[bool] = True
    # Whether it is evaluated for each partition of a partitioned source.
    is_per_partition: ClassVar[bool] = False

    @model_validator(mode="after")
    def _rows_alone_are_verified_before(self) -> "Check":
        if self.blocking == "before_publish" and not self.is_of_rows:
            msg = (
                "blocking 'before_publish' does not apply to this check, which is not of the rows "
                "of a load; use true or false"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _errors_alone_block(self) -> "Check":
        if self.blocking and self.severity == "warn":
            msg = "blocking is set, but a check with severity 'warn' never blocks; use 'error'"
            raise ValueError(msg)
        return self


def _true_is_the_default(value: Any) -> Any:
    if value is True:
        return {}
    return None if value is False else value


def switch(check: type[Check], on_or_off: Any = bool) -> BeforeValidator:
    """Return a validator that accepts `true` and `false` for a check, also in the JSON schema."""
    return BeforeValidator(_true_is_the_default, json_schema_input_type=check | on_or_off | None)
