"""Window overwrite: a load that replaces exactly the rows of a range of one column.

The window belongs to one load, so it is stored in the load package's own state. As a hint of dlt's
schema it would persist, and the next plain append would overwrite an old window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import dlt
import pyarrow as pa
from dlt.destinations.utils import get_resource_for_adapter
from dlt.extract.items_transform import BaseItemTransform, ItemTransform

from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint
from floe_ingestion_defs.destinations.impl.iceberg.intent import Window
from floe_ingestion_defs.window import Window as ValueWindow

if TYPE_CHECKING:
    from dlt.common.typing import TDataItems
    from dlt.extract import DltResource
    from dlt.extract.items import SupportsPipe

Bound: TypeAlias = datetime | date | Decimal | float | str

WINDOWS_KEY = "windows"
# Hint of a table that the window of its resource does not apply to, such as its rejected rows'.
NO_WINDOW_HINT = "x-iceberg-no-window"


def iceberg_window(data: Any, column: str, lower: Bound, upper: Bound) -> DltResource:
    """Make the load replace exactly the rows with `lower <= column < upper`, in one snapshot.

    The rows of the window are deleted and those of the load added, nested ones included, so a
    backfill can be repeated any number of times, also where it finds nothing. A row outside the
    window fails the load's audit, and so does a null.

    Args:
        data: A resource with write disposition `append`, or data to create one from. A transformer
            that finds nothing has to yield `dlt.mark.materialize_table_schema()`, since dlt makes
            no load for one that yields nothing. Rows nested more than one level deep require
            `root_key=True` on the source, from its first load on.
        column: The column that the window is a range of, by its name in the source.
        lower: The first value of the window. A timestamp without a time zone is UTC where the
            column has a time zone.
        upper: The first value after the window, of the same type.

    Returns:
        The resource; every load of it overwrites the window.

    Raises:
        ValueError: The window is empty.

    Example:
        >>> day = iceberg_window(flights, "time_hour", date(2013, 1, 1), date(2013, 1, 2))
        >>> pipeline.run(day)
    """
    if ValueWindow(start=lower, end=upper).is_empty:
        msg = (
            f"The window {lower!r} <= {column} < {upper!r} is empty: the upper bound must be the "
            "first value after the window."
        )
        raise ValueError(msg)
    resource = get_resource_for_adapter(data)
    window = Window(column=column, start=_encoded(lower), end=_encoded(upper))
    resource.add_step(_DeclareWindow(window))
    return resource


def declared_windows(destination_state: Mapping[str, Any]) -> dict[str, Window]:
    """Return the windows of a load package, each with the name of its resource."""
    declared = destination_state.get(WINDOWS_KEY) or {}
    return {name: Window.model_validate(window) for name, window in declared.items()}


def parse_bound(bound: str | float, column_type: pa.DataType) -> pa.Scalar:
    """Return a window's bound in the type of its column; a timestamp without a time zone is UTC.

    Raises:
        InvalidHint: The bound cannot be converted to that type.
    """
    try:
        if not isinstance(bound, str):
            return pa.scalar(bound, column_type)
        if not pa.types.is_timestamp(column_type):
            return pa.scalar(bound).cast(column_type)
        at = datetime.fromisoformat(bound)
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
        return pa.scalar(at if column_type.tz else at.replace(tzinfo=None), column_type)
    except (ValueError, TypeError, pa.ArrowException) as error:
        msg = (
            f"Window bound {bound!r} cannot be converted to `{column_type}`, the type of its "
            "column."
        )
        raise InvalidHint(msg) from error


def _encoded(bound: Bound) -> float | str:
    """Return a bound in the form that the package's state, which is JSON, keeps."""
    if isinstance(bound, date):
        return bound.isoformat()
    return str(bound) if isinstance(bound, Decimal) else bound


class _DeclareWindow(ItemTransform[Any, dict[str, Any]]):
    """A step of a resource's pipe that passes items on, and adds the window to the package."""

    placement_affinity: ClassVar[float] = 1

    def __init__(self, window: Window) -> None:
        BaseItemTransform.__init__(self)
        self._window = window

    def bind(self, pipe: SupportsPipe) -> _DeclareWindow:
        """Add the window to the package's state; dlt calls this when an extraction begins."""
        windows = dlt.current.destination_state().setdefault(WINDOWS_KEY, {})
        windows[pipe.name] = self._window.model_dump()
        if isinstance(pipe.gen, Iterator):
            pipe.replace_gen(_with_empty_end(pipe.gen))
        return self

    def __call__(self, item: TDataItems, meta: Any = None) -> TDataItems:
        return item


def _with_empty_end(items: Iterator[TDataItems]) -> Iterator[TDataItems]:
    """Yield the items, and at the end what makes dlt create a load even if there were none."""
    yield from items
    yield dlt.mark.materialize_table_schema()
