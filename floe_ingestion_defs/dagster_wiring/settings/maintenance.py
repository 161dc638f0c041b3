"""The block `maintenance:` of a source: what is done to the tables of its dataset, and when.

The block of a resource says what is different for its table.
"""

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator, model_validator

from floe_ingestion_defs.dagster_wiring.settings.types import (
    Cron,
    Duration,
    OneOrMore,
    Settings,
    TimeZone,
)

_YOUNGEST_ORPHAN = timedelta(days=1)


class TableMaintenanceSettings(Settings):
    """How one table is maintained."""

    compact: bool = Field(
        default=True,
        description="Combine small data files, and rewrite files with many deleted rows.",
    )
    expire: Duration | None = Field(
        default="5d",
        validate_default=True,
        description="Expire snapshots so long after they ceased to be current, all but the newest "
        "10; properties `history.expire.*` of a table take precedence. null to leave it to loads.",
    )


class ResourceMaintenanceSettings(TableMaintenanceSettings):
    """How the table of one resource is maintained."""

    z_order: OneOrMore[str] = Field(
        default=(),
        description="Columns to put the rows of combined files in z-order of, so that a filter on "
        "any of them skips files.",
    )

    @model_validator(mode="after")
    def _order_what_is_combined(self) -> "ResourceMaintenanceSettings":
        if self.z_order and not self.compact:
            msg = "z_order has no effect without compaction; remove it or set compact to true"
            raise ValueError(msg)
        return self


class MaintenanceSettings(TableMaintenanceSettings):
    """How the tables of a dataset are maintained."""

    schedule: Cron = Field(
        default="0 3 * * *", description="When to maintain the tables, as a cron expression."
    )
    timezone: TimeZone = Field(default="UTC", description="IANA time zone of `schedule`.")
    default_status: Literal["stopped", "running"] = Field(
        default="running",
        description="Whether the schedule is running as soon as the location is deployed.",
    )
    orphans: Duration | None = Field(
        default="3d",
        validate_default=True,
        description="Delete files that nothing refers to once they are older than this, at least "
        "'1d'; null to keep them.",
    )

    def for_table(self, own: ResourceMaintenanceSettings | None) -> ResourceMaintenanceSettings:
        """Return how one table is maintained: as the dataset is, unless its resource differs."""
        values = {name: getattr(self, name) for name in TableMaintenanceSettings.model_fields}
        if own is not None:
            values |= {name: getattr(own, name) for name in own.model_fields_set}
            values["compact"] |= bool(own.z_order)
        return ResourceMaintenanceSettings.model_construct(**values)

    @field_validator("orphans")
    @classmethod
    def _spare_loads(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value < _YOUNGEST_ORPHAN:
            msg = "orphans must be at least '1d': a load may be about to commit younger files"
            raise ValueError(msg)
        return value
