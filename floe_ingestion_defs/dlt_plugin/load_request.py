"""The request of one load, in addition to the configuration: a refresh, a window, or a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError
from floe_ingestion_defs.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

RefreshMode = Literal["drop_sources", "drop_resources", "drop_data"]


@dataclass(frozen=True)
class LoadRequest:
    """One load's refresh, window and limit.

    Attributes:
        start: Start of the window of the cursor to load, inclusive. With `end`, the load is a
            backfill: the stored cursor is not changed, and in an append table the window's rows
            replace those that the table has in the window.
        end: End of the window, exclusive.
        limit: Approximate maximum number of rows to load per resource, for testing a source.
            Files are read completely, and a database in the order of the cursor, so that the next
            load continues where this one stopped; an API that does not sort by the cursor may
            leave rows behind.
        refresh: dlt's refresh mode.
    """

    start: Any = None
    end: Any = None
    limit: int | None = None
    refresh: RefreshMode | None = None

    @property
    def window(self) -> Window[Any] | None:
        """The window of a backfill, None for a load of what is new."""
        if self.start is None and self.end is None:
            return None
        return Window(start=self.start, end=self.end)

    def check(self, specs: Iterable[ResourceSpec]) -> None:
        """Verify that the selected resources support the request.

        Raises:
            PipelineConfigurationError: They do not; says why, and how to fix it.
        """
        if self.limit is not None and self.limit < 1:
            msg = f"limit is {self.limit}, but must be at least 1 row; correct or remove it"
            raise PipelineConfigurationError(msg)
        window = self.window
        if window is None:
            return
        if self.start is None or self.end is None:
            given, lacking = ("start", "end") if self.end is None else ("end", "start")
            msg = f"a window requires both start and end; {given} is set, but {lacking} is missing"
            raise PipelineConfigurationError(msg)
        if window.is_empty:
            msg = f"the end of a window must be after its start: {self.start} to {self.end}"
            raise PipelineConfigurationError(msg)
        for spec in specs:
            if spec.cursor_field is None:
                msg = (
                    f"a window was requested, but resource {spec.name!r} has no cursor_field; "
                    "configure one, or load without start and end"
                )
                raise PipelineConfigurationError(msg)
            if spec.write_mode == "replace":
                msg = (
                    f"a window was requested, but resource {spec.name!r} has write_mode 'replace', "
                    "which would delete all rows outside the window; load without start and end"
                )
                raise PipelineConfigurationError(msg)


WHOLE = LoadRequest()
