"""The block `maintenance:` of a source: what is done to the tables of its dataset, and when."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from floe_ingestion_defs.dagster_wiring.settings.types import Cron, Duration, Settings, TimeZone

_YOUNGEST_ORPHAN = timedelta(days=1)


class MaintenanceSettings(Settings):
    """How the tables of a dataset are maintained."""

    schedule: Cron = Field(
        default="0 3 * * *", description="When to maintain the tables, as a cron expression."
    )
    timezone: TimeZone = Field(default="UTC", description="IANA time zone of `schedule`.")
    default_status: Literal["stopped", "running"] = Field(
        default="running",
        description="Whether the schedule is running as soon as the location is deployed.",
    )
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
    orphans: Duration | None = Field(
        default="3d",
        validate_default=True,
        description="Delete files that nothing refers to once they are older than this, at least "
        "'1d'; null to keep them.",
    )

    @field_validator("orphans")
    @classmethod
    def _spare_loads(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value < _YOUNGEST_ORPHAN:
            msg = "orphans must be at least '1d': a load may be about to commit younger files"
            raise ValueError(msg)
        return value
