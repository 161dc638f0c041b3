"""What is requested of one load beyond what is configured: a refresh, a window, or a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

RefreshMode = Literal["drop_sources", "drop_resources", "drop_data"]


@dataclass(frozen=True)
class LoadRequest:
    """One load's refresh, window and limit.

    Attributes:
        start: First value of the cursor to load. With `end`, the load is a backfill: the stored
            cursor stays as it is, and a table that is appended to gets exactly the window's rows
            in the place of those that it has in the window.
        end: First value of the cursor that is no longer loaded.
        limit: Approximate maximum number of rows to load per resource, for testing a source.
            Files are read whole, and a database in the cursor's order, so that the next load goes
            on where this one stopped; an API that does not go by the cursor may leave rows behind.
        refresh: dlt's refresh mode.
    """

    start: Any = None
    end: Any = None
    limit: int | None = None
    refresh: RefreshMode | None = None

    @property
    def is_window(self) -> bool:
        """Whether the load is a backfill of a window."""
        return self.start is not None or self.end is not None

    def check(self, specs: Iterable[ResourceSpec]) -> None:
        """Verify that the chosen resources allow what is requested.

        Raises:
            PipelineConfigurationError: They do not; says why, and what would be right.
        """
        if self.limit is not None and self.limit < 1:
            msg = f"limit is {self.limit}; give a number of rows of 1 or more, or leave it out"
            raise PipelineConfigurationError(msg)
        if not self.is_window:
            return
        if self.start is None or self.end is None:
            given, lacking = ("start", "end") if self.end is None else ("end", "start")
            msg = f"a window has a start and an end, and {lacking} is missing beside {given}"
            raise PipelineConfigurationError(msg)
        for spec in specs:
            if spec.cursor_field is None:
                msg = (
                    f"a window was asked for, but resource {spec.name!r} has no cursor_field that "
                    "it could be a range of; configure one, or load without start and end"
                )
                raise PipelineConfigurationError(msg)
            if spec.write_mode == "replace":
                msg = (
                    f"a window was asked for, but resource {spec.name!r} has write_mode 'replace', "
                    "which would drop all rows outside of it; load without start and end"
                )
                raise PipelineConfigurationError(msg)


WHOLE = LoadRequest()
