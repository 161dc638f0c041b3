"""The request of one load, in addition to the configuration, such as a refresh or a window."""

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
    """One load's refresh, window and limit; or a replay of quarantined rows.

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
        replay_quarantined: Whether to load the rows of `{table}__rejected` that fit now, instead of
            rows of the source. They are removed from there in the same load.
    """

    start: Any = None
    end: Any = None
    limit: int | None = None
    refresh: RefreshMode | None = None
    replay_quarantined: bool = False

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
        if self.replay_quarantined:
            self._check_replay(specs)
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

    def _check_replay(self, specs: Iterable[ResourceSpec]) -> None:
        others = ("start", "end", "limit", "refresh")
        if given := [name for name in others if getattr(self, name) is not None]:
            msg = (
                "replay_quarantined loads rows of the quarantine instead of the source's, and "
                f"cannot be combined with {', '.join(given)}; remove one or the other"
            )
            raise PipelineConfigurationError(msg)
        for spec in specs:
            check_replay(
                spec.name,
                spec.write_mode,
                spec.merge_strategy,
                has_merge_key=bool(spec.merge_key),
                has_hard_delete=any(column.hard_delete for column in spec.columns.values()),
            )


def check_replay(
    resource: str,
    write_mode: str,
    merge_strategy: str | None,
    *,
    has_merge_key: bool,
    has_hard_delete: bool,
) -> None:
    """Verify that quarantined rows of a resource can be loaded later than the rows beside them.

    Raises:
        PipelineConfigurationError: They cannot; says why.
    """
    if write_mode == "replace":
        reason = "write_mode 'replace', whose next load reads all rows again"
    elif merge_strategy == "scd2":
        reason = "merge_strategy 'scd2', to which an earlier version of a row cannot be added"
    elif has_merge_key:
        reason = "a merge_key, of which a single row would replace the whole group"
    elif has_hard_delete:
        reason = "a hard_delete column, and a replay could restore a row that was deleted since"
    else:
        return
    msg = (
        f"replay_quarantined was requested, but resource {resource!r} has {reason}; correct the "
        "rows in the source and load without replay_quarantined, or select other resources"
    )
    raise PipelineConfigurationError(msg)


WHOLE = LoadRequest()
