"""The `checks:` block, of a source for all of its resources or of one resource.

A check is disabled by default (except `schema_contract`); `true` enables it with its defaults,
`false` disables it, and a mapping configures it.
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
from floe_ingestion_defs.dagster_wiring.units import format_limit
from floe_ingestion_defs.dlt_plugin import ResourceSpec


class Check(Settings, ABC):
    """Settings that all checks share."""

    severity: Literal["warn", "error"] = Field(
        default="error", description="Severity of a failed check."
    )
    blocking: bool = Field(
        default=False,
        description="Whether the check is evaluated before rows become visible: a load that fails "
        "it is not published, and downstream assets do not run. A freshness check only stops "
        "downstream assets.",
    )

    @abstractmethod
    def describe(self, resource: ResourceSpec) -> str:
        """Return one sentence about what the check requires of a resource's table.

        Raises:
            ValueError: The check does not apply to the resource; says what is missing.
        """

    @model_validator(mode="after")
    def _errors_alone_block(self) -> "Check":
        if self.blocking and self.severity == "warn":
            msg = "blocking is true, but a check with severity 'warn' never blocks; use 'error'"
            raise ValueError(msg)
        return self


class SchemaContractCheck(Check):
    """The table's columns and types match the schema contract."""

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        if resource.schema_contract == "evolve":
            return "The table has all declared columns, with their declared types."
        return "The table's columns and types match the schema contract."


_CLOCKS = {
    "load": "The last successful load",
    "snapshot": "The last change of the table",
    "cursor": "The newest row",
}


class FreshnessCheck(Check):
    """The table is not older than allowed, by one of three clocks."""

    clock: Literal["load", "snapshot", "cursor"] = Field(
        default="load",
        description="What the age is measured from: load, the last successful load, even if it "
        "found nothing new; snapshot, the last change of the table; cursor, the newest value of "
        "the cursor in the data.",
    )
    warn_after: Duration | None = Field(
        default=None, description="Age after which the check warns, such as '26h'."
    )
    fail_after: Duration | None = Field(
        default=None, description="Age after which the check fails, such as '50h'."
    )
    deadline: Cron | None = Field(
        default=None,
        description="When the table must be up to date, as a cron expression; instead of "
        "fail_after.",
    )
    before_deadline: Duration = Field(
        default=timedelta(hours=24),
        description="How long before the deadline the table may have been loaded, at most the "
        "time between two deadlines. Default: '24h'.",
    )
    deadline_timezone: TimeZone = Field(default="UTC", description="IANA time zone of `deadline`.")

    @model_validator(mode="after")
    def _one_way_to_be_late(self) -> "FreshnessCheck":
        if (self.fail_after is None) == (self.deadline is None):
            msg = "set either fail_after, such as '50h', or deadline, as a cron expression"
            raise ValueError(msg)
        if self.warn_after and not (self.fail_after and self.warn_after < self.fail_after):
            msg = "warn_after must be shorter than fail_after"
            raise ValueError(msg)
        try:
            self.policy()
        except CheckError:
            msg = (
                f"before_deadline {format_duration(self.before_deadline)!r} is longer than the "
                f"time between two deadlines {self.deadline!r}; use a shorter duration"
            )
            raise ValueError(msg) from None
        return self

    def policy(self) -> dg.FreshnessPolicy | None:
        """Return the freshness policy with the same windows, which Dagster shows on the asset.

        The policy has only one clock, the last materialization.
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
    def subject(self) -> str:
        """What the clock measures, as the subject of a sentence."""
        return _CLOCKS[self.clock]

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        if self.clock == "cursor" and resource.cursor_field is None:
            msg = "freshness with clock 'cursor' requires a cursor_field; use clock 'load'"
            raise ValueError(msg)
        if self.deadline is not None:
            return (
                f"{self.subject} is no more than {format_limit(self.before_deadline)} old at "
                f"each deadline '{self.deadline}' ({self.deadline_timezone})."
            )
        limit = format_limit(self.fail_after or timedelta())
        return f"{self.subject} is no more than {limit} old."


class UniqueKeyCheck(Check):
    """No two rows have the same key."""

    columns: OneOrMore[str] = Field(
        default=(), description="Columns of the key. Default: the primary key."
    )

    def key_of(self, resource: ResourceSpec) -> tuple[str, ...]:
        """Return the columns of the key."""
        if resource.merge_strategy == "scd2" and not self.columns:
            msg = (
                "unique_key requires columns, because 'scd2' stores several versions of the rows "
                "with the same primary key"
            )
            raise ValueError(msg)
        if key := self.columns or resource.primary_key:
            return key
        msg = "unique_key requires columns, because the resource has no primary_key"
        raise ValueError(msg)

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        return f"No two rows have the same key `{', '.join(self.key_of(resource))}`."


class NotNullCheck(Check):
    """Required columns have a value in every row."""

    columns: OneOrMore[str] = Field(
        default=(),
        description="Columns that must have a value. Default: the primary key and the columns "
        "declared with `nullable: false`.",
    )

    def required_in(self, resource: ResourceSpec) -> tuple[str, ...]:
        """Return the columns that must have a value: those configured, else the default ones."""
        declared = [name for name, column in resource.columns.items() if column.nullable is False]
        required = self.columns or tuple(dict.fromkeys([*resource.primary_key, *declared]))
        if required:
            return required
        msg = "not_null requires columns, because the resource has no primary_key"
        raise ValueError(msg)

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        return f"Every row has a value in `{', '.join(self.required_in(resource))}`."


class RowCountChangeCheck(Check):
    """A load does not change the number of rows by more than configured."""

    max_decrease: float | None = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Maximum share of its rows that the table may lose in one load; null for no "
        "limit.",
    )
    max_increase: float | None = Field(
        default=None,
        ge=0,
        description="Maximum share of its rows that one load may add, where 1.0 doubles the "
        "table; null for no limit.",
    )

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        limits = []
        if self.max_decrease is not None:
            limits.append(f"removes no more than {self.max_decrease:.0%}")
        if self.max_increase is not None:
            limits.append(f"adds no more than {self.max_increase:.0%}")
        return f"A load {' and '.join(limits) or 'may change any number'} of the table's rows."


def _true_is_the_default(value: Any) -> Any:
    if value is True:
        return {}
    return None if value is False else value


def _switch(check: type[Check], on_or_off: Any = bool) -> BeforeValidator:
    """Return a validator that accepts `true` and `false` for a check, also in the JSON schema."""
    return BeforeValidator(_true_is_the_default, json_schema_input_type=check | on_or_off | None)


class CheckSettings(Settings):
    """The checks of an asset."""

    schema_contract: Annotated[SchemaContractCheck | None, _switch(SchemaContractCheck)] = Field(
        default=SchemaContractCheck(),
        description="Check that the table's columns and types match the schema contract. Enabled "
        "by default.",
    )
    # There is no age limit that suits every table, so `true` alone is not valid.
    freshness: Annotated[FreshnessCheck | None, _switch(FreshnessCheck, Literal[False])] = Field(
        default=None,
        description="Check that the table is recent enough. Default: derived from cron or "
        "partitions; without either, the age is reported. `false` disables the check.",
    )
    unique_key: Annotated[UniqueKeyCheck | None, _switch(UniqueKeyCheck)] = Field(
        default=None, description="Check that no two rows have the same key."
    )
    not_null: Annotated[NotNullCheck | None, _switch(NotNullCheck)] = Field(
        default=None, description="Check that required columns have a value in every row."
    )
    row_count_change: Annotated[RowCountChangeCheck | None, _switch(RowCountChangeCheck)] = Field(
        default=None,
        description="Check that a load does not change the number of rows by more than a limit.",
    )

    def configured(self) -> Iterator[tuple[str, Check]]:
        """Yield the names and settings of the enabled checks."""
        for name in CheckSettings.model_fields:
            if (check := getattr(self, name)) is not None:
                yield name, check

    def overridden_by(self, other: "CheckSettings") -> "CheckSettings":
        """Return these checks, with those that the other settings define replaced by theirs."""
        named = {name: getattr(other, name) for name in other.model_fields_set}
        return self.model_copy(update=named)
