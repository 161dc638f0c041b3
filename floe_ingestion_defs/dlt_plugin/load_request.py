"""What is asked of one load beyond what is configured: a window, or not more than so many rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.errors.ingestion_error import PipelineConfigurationError

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec


@dataclass(frozen=True)
class LoadRequest:
    """One load's window and limit.

    Args:
        start: First value of the cursor to load. With `end`, the load is a backfill: the stored
            cursor stays as it is, and a table that is appended to gets exactly the window's rows
            in the place of those that it has in the window.
        end: First value of the cursor not to load any more.
        limit: About how many rows to load of each resource, for trying things out. Files are
            read whole, and a database in the cursor's order, so that the next load goes on where
            this one stopped; an API that does not go by the cursor may leave rows behind.
    """

    start: Any = None
    end: Any = None
    limit: int | None = None

    def __bool__(self) -> bool:
        return self != LoadRequest()

    @property
    def is_window(self) -> bool:
        """Whether the load is a backfill of a window."""
        return self.start is not None or self.end is not None

    def check(self, specs: Iterable[ResourceSpec]) -> None:
        """See whether what is asked can be done with the chosen resources.

        Raises:
            PipelineConfigurationError: It cannot; says why, and what could.
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
