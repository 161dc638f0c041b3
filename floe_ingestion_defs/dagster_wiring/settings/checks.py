"""The `checks:` block, of a source for all of its resources or of one resource.

A check is disabled by default (except `schema_contract`, `freshness` and `table_health`); `true`
enables it with its defaults, `false` disables it, and a mapping configures it.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

import dagster as dg
from dagster_shared.check import CheckError
from pydantic import Field, model_validator

from floe_ingestion_defs.dagster_wiring.settings.check import Check, switch
from floe_ingestion_defs.dagster_wiring.settings.row_checks import (
    AcceptedRangeCheck,
    AcceptedValuesCheck,
    NamedExpression,
    NamedFunction,
    require_check_name,
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

    is_of_rows: ClassVar[bool] = False
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

    is_per_partition: ClassVar[bool] = True

    columns: OneOrMore[str] = Field(
        default=(),
        description="Columns of the key. Default: the primary key, of a database also the "
        "reflected one.",
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
        if resource.key_of_source and resource.merge_strategy != "scd2" and not self.columns:
            return "No two rows have the same primary key, which is that of the database's table."
        return f"No two rows have the same key `{', '.join(self.key_of(resource))}`."


class NotNullCheck(Check):
    """Required columns have a value in every row."""

    is_per_partition: ClassVar[bool] = True

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
        if resource.key_of_source and not self.columns:
            return (
                "Every row has a value in the primary key, which is that of the database's table."
            )
        return f"Every row has a value in `{', '.join(self.required_in(resource))}`."


class RowCountChangeCheck(Check):
    """A load does not change the number of rows by more than configured."""

    is_per_partition: ClassVar[bool] = True

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


class TableHealthCheck(Check):
    """The table does not need maintenance, and has all committed loads."""

    is_of_rows: ClassVar[bool] = False
    severity: Literal["warn", "error"] = Field(
        default="warn",
        description="Severity of a failed check; a load that is not published is an error.",
    )
    max_small_files: float | None = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Maximum share of the data files that a compaction would combine, from 100 "
        "such files on; null for no limit.",
    )
    max_deleted_rows: float | None = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Maximum share of rows that delete files mark as deleted; null for no limit.",
    )
    max_old_snapshots: int | None = Field(
        default=100,
        ge=0,
        description="Maximum number of snapshots past the table's retention, as `floe expire` "
        "counts them; null for no limit.",
    )
    max_missing_loads: int | None = Field(
        default=0,
        ge=0,
        description="Maximum number of loads that a rollback or a restored backup has removed from "
        "the table; null for no limit.",
    )

    def describe(self, resource: ResourceSpec) -> str:
        """See `Check.describe`."""
        return (
            "All committed loads are published and were not removed, and the table has few small "
            "files, deleted rows and old snapshots."
        )


class CheckSettings(Settings):
    """The checks of an asset."""

    schema_contract: Annotated[SchemaContractCheck | None, switch(SchemaContractCheck)] = Field(
        default=SchemaContractCheck(),
        description="Check that the table's columns and types match the schema contract. Enabled "
        "by default.",
    )
    # There is no age limit that suits every table, so `true` alone is not valid.
    freshness: Annotated[FreshnessCheck | None, switch(FreshnessCheck, Literal[False])] = Field(
        default=None,
        description="Check that the table is recent enough. Default: derived from cron or "
        "partitions; without either, the age is reported. `false` disables the check.",
    )
    table_health: Annotated[TableHealthCheck | None, switch(TableHealthCheck)] = Field(
        default=TableHealthCheck(),
        description="Check that the table does not need maintenance, and that all committed loads "
        "are published. Enabled by default.",
    )
    unique_key: Annotated[UniqueKeyCheck | None, switch(UniqueKeyCheck)] = Field(
        default=None, description="Check that no two rows have the same key."
    )
    not_null: Annotated[NotNullCheck | None, switch(NotNullCheck)] = Field(
        default=None, description="Check that required columns have a value in every row."
    )
    row_count_change: Annotated[RowCountChangeCheck | None, switch(RowCountChangeCheck)] = Field(
        default=None,
        description="Check that a load does not change the number of rows by more than a limit.",
    )

    accepted_values: Annotated[
        AcceptedValuesCheck | None, switch(AcceptedValuesCheck, Literal[False])
    ] = Field(default=None, description="Check that columns have only the given values.")
    accepted_range: Annotated[
        AcceptedRangeCheck | None, switch(AcceptedRangeCheck, Literal[False])
    ] = Field(default=None, description="Check that values of columns are in the given ranges.")
    expression: dict[str, NamedExpression] = Field(
        default_factory=dict,
        description="Checks by SQL expressions, by name; each is a check of its own. `false` "
        "disables one.",
    )
    function: dict[str, NamedFunction] = Field(
        default_factory=dict,
        description="Checks by Python functions, by name, each as 'module:function'. `false` "
        "disables one.",
    )

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "CheckSettings":
        for name in (*self.expression, *self.function):
            require_check_name(name, taken=CheckSettings.model_fields)
        if both := self.expression.keys() & self.function.keys():
            msg = f"{min(both)!r} is the name of an expression and of a function; rename one"
            raise ValueError(msg)
        return self

    def configured(self) -> Iterator[tuple[str, Check]]:
        """Yield the names and settings of the enabled checks."""
        for name in CheckSettings.model_fields:
            value = getattr(self, name)
            named = value.items() if isinstance(value, dict) else [(name, value)]
            yield from ((each, check) for each, check in named if check is not None)

    def overridden_by(self, other: "CheckSettings") -> "CheckSettings":
        """Return these checks, with those that the other settings define replaced by theirs."""
        changed = {name: getattr(other, name) for name in other.model_fields_set}
        for name in ("expression", "function"):
            changed[name] = {**getattr(self, name), **changed.get(name, {})}
        return self.model_copy(update=changed)
