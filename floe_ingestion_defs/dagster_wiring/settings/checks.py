"""What `checks:` may say, on a source for all of its resources or on one resource.

A check is left out by default (`schema_contract` alone is not), switched on with its defaults by
`true`, off by `false`, and configured by a mapping.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal

import dagster as dg
from dagster_shared.check import CheckError
from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)

from floe_ingestion_defs.dagster_wiring.settings.types import (
    Cron,
    Duration,
    OneOrMore,
    Settings,
    TimeZone,
    format_duration,
)
from floe_ingestion_defs.dlt_plugin import ResourceSpec


class Check(Settings, ABC):
    """What every check can be told."""

    severity: Literal["warn", "error"] = Field(
        default="error", description="What a failed check is: a warning, or an error."
    )
    blocking: bool = Field(
        default=False,
        description="Whether the check holds before rows can be seen: a load that breaks it is "
        "not published, and assets downstream do not run. Of freshness only the latter.",
    )

    @abstractmethod
    def describe(self, resource: ResourceSpec) -> str:
        """Say in a sentence what the check holds of a resource's table.

        Raises:
            ValueError: The check does not fit the resource; says what is missing.
        """

    @model_validator(mode="after")
    def _errors_alone_block(self) -> "Check":
        if self.blocking and self.severity == "warn":
            msg = "blocking is true, but a check of severity 'warn' never blocks"
            raise ValueError(msg)
        return self


class SchemaContractCheck(Check):
    """The table's columns are those that were declared, as far as the contract asks for it."""

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        others = "" if resource.schema_contract == "evolve" else ", and no others"
        return f"The table has the columns that were agreed on in their types{others}."


_CLOCKS = {
    "load": "The last successful load",
    "snapshot": "The last change of the table",
    "cursor": "The newest row",
}


class FreshnessCheck(Check):
    """The table is not older than it may be, by one of three clocks."""

    clock: Literal["load", "snapshot", "cursor"] = Field(
        default="load",
        description="What counts: the last successful load, also one with nothing new; the last "
        "snapshot, for something did change; or the maximum of the cursor, for the data are "
        "recent.",
    )
    warn_after: Duration | None = Field(
        default=None, description="Age from which the check warns, such as '26h'."
    )
    fail_after: Duration | None = Field(
        default=None, description="Age from which the check fails, such as '50h'."
    )
    deadline: Cron | None = Field(
        default=None,
        description="Instead of an age: when the table must be up to date, as a cron expression.",
    )
    before_deadline: Duration = Field(
        default=timedelta(hours=24),
        description="How long before the deadline the load may have been, at most until the one "
        "before. Default: '24h'.",
    )
    deadline_timezone: TimeZone = Field(
        default="UTC", description="IANA time zone in which `deadline` is read."
    )

    @model_validator(mode="after")
    def _one_way_to_be_late(self) -> "FreshnessCheck":
        if (self.fail_after is None) == (self.deadline is None):
            msg = "give either fail_after, such as '50h', or a deadline as a cron"
            raise ValueError(msg)
        if self.warn_after and not (self.fail_after and self.warn_after < self.fail_after):
            msg = "warn_after must be shorter than fail_after"
            raise ValueError(msg)
        try:
            self.policy()
        except CheckError:
            msg = (
                f"before_deadline {format_duration(self.before_deadline)!r} is longer than from "
                f"one deadline {self.deadline!r} to the next; give a shorter one"
            )
            raise ValueError(msg) from None
        return self

    def policy(self) -> dg.FreshnessPolicy:
        """Return the policy of the same windows, which Dagster shows on the asset.

        It knows one clock, the last materialization.
        """
        if self.deadline is not None:
            return dg.FreshnessPolicy.cron(
                deadline_cron=self.deadline,
                lower_bound_delta=self.before_deadline,
                timezone=self.deadline_timezone,
            )
        return dg.FreshnessPolicy.time_window(
            fail_window=self.fail_after or timedelta(), warn_window=self.warn_after
        )

    @property
    def what(self) -> str:
        """What the clock shows, to begin a sentence with."""
        return _CLOCKS[self.clock]

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        if self.clock == "cursor" and resource.cursor_field is None:
            msg = "freshness with clock 'cursor' needs a cursor_field; use clock 'load'"
            raise ValueError(msg)
        if self.deadline is not None:
            return (
                f"{self.what} is not older than {format_duration(self.before_deadline)} at each "
                f"tick of '{self.deadline}' ({self.deadline_timezone})."
            )
        return f"{self.what} is not older than {format_duration(self.fail_after or timedelta())}."


class UniqueKeyCheck(Check):
    """No two rows have one key."""

    columns: OneOrMore[str] = Field(
        default=(), description="Columns of the key. Default: the primary key."
    )

    def key_of(self, resource: ResourceSpec) -> tuple[str, ...]:
        """Return the columns of the key."""
        if resource.merge_strategy == "scd2" and not self.columns:
            msg = "unique_key needs columns, for 'scd2' keeps many versions of one key"
            raise ValueError(msg)
        if key := self.columns or resource.primary_key:
            return key
        msg = "unique_key needs columns, for the resource has no primary_key"
        raise ValueError(msg)

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        return f"No two rows have the same {', '.join(self.key_of(resource))}."


class NotNullCheck(Check):
    """Columns that must have a value have one in every row."""

    columns: OneOrMore[str] = Field(
        default=(),
        description="Columns that must have a value. Default: the primary key, and the columns "
        "that are declared with `nullable: false`.",
    )

    def required_in(self, resource: ResourceSpec) -> tuple[str, ...]:
        """Return the columns that must have a value: those named, else those that by nature do."""
        declared = [name for name, column in resource.columns.items() if column.nullable is False]
        required = self.columns or tuple(dict.fromkeys([*resource.primary_key, *declared]))
        if required:
            return required
        msg = "not_null needs columns, for the resource has no primary_key"
        raise ValueError(msg)

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        return f"Every row has a value in {', '.join(self.required_in(resource))}."


class RowCountChangeCheck(Check):
    """A load does not change the number of rows by more than is plausible."""

    max_decrease: float | None = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Largest share of its rows that the table may lose in one load; null for any.",
    )
    max_increase: float | None = Field(
        default=None,
        ge=0,
        description="Largest share of its rows that one load may add, 1.0 doubling the table; "
        "null for any.",
    )

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        limits = []
        if self.max_decrease is not None:
            limits.append(f"loses no more than {self.max_decrease:.0%}")
        if self.max_increase is not None:
            limits.append(f"gains no more than {self.max_increase:.0%}")
        return f"The table {' and '.join(limits) or 'may change any number'} of its rows in a load."


def _true_is_the_default(value: Any) -> Any:
    if value is True:
        return {}
    return None if value is False else value


def _switch(check: type[Check], on_or_off: Any = bool) -> BeforeValidator:
    """Let `true` and `false` stand for a check, also in the JSON schema that editors read."""
    return BeforeValidator(_true_is_the_default, json_schema_input_type=check | on_or_off | None)


class CheckSettings(Settings):
    """The checks of an asset."""

    schema_contract: Annotated[SchemaContractCheck | None, _switch(SchemaContractCheck)] = Field(
        default=SchemaContractCheck(),
        description="Whether the table has the columns that were declared. On by default.",
    )
    # No age is too old for every table, so `true` alone says nothing.
    freshness: Annotated[FreshnessCheck | None, _switch(FreshnessCheck, Literal[False])] = Field(
        default=None, description="Whether the table is recent enough."
    )
    unique_key: Annotated[UniqueKeyCheck | None, _switch(UniqueKeyCheck)] = Field(
        default=None, description="Whether every key is there once."
    )
    not_null: Annotated[NotNullCheck | None, _switch(NotNullCheck)] = Field(
        default=None, description="Whether columns that must have a value have one."
    )
    row_count_change: Annotated[RowCountChangeCheck | None, _switch(RowCountChangeCheck)] = Field(
        default=None, description="Whether the number of rows changed by no more than plausible."
    )

    def configured(self) -> Iterator[tuple[str, Check]]:
        """Yield name and settings of the checks that are switched on."""
        for name in CheckSettings.model_fields:
            if (check := getattr(self, name)) is not None:
                yield name, check

    def overridden_by(self, other: "CheckSettings") -> "CheckSettings":
        """Return these checks with those in their place that the other settings name."""
        named = {name: getattr(other, name) for name in other.model_fields_set}
        return self.model_copy(update=named)
