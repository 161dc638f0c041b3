"""Compares the settings of a cursor with the columns of Arrow tables, before dlt's incremental."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from dlt.extract.items_transform import MapItem

from floe_ingestion_defs.dlt_plugin.cursors.values import is_date_or_timestamp
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError
from floe_ingestion_defs.dlt_plugin.steps import is_arrow

if TYPE_CHECKING:
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec


class CursorFits(MapItem):
    """Verifies that `cursor_field` names a column, with which `initial_value` can be compared.

    Args:
        spec: The resource, which has a cursor.
    """

    # Before dlt's incremental, whose errors name neither setting.
    placement_affinity: ClassVar[float] = 0.4

    def __init__(self, spec: ResourceSpec) -> None:
        super().__init__(self._check)
        self._spec = spec

    def _check(self, item: Any) -> Any:
        """Return the item.

        Raises:
            PipelineConfigurationError: A setting of the cursor does not fit the rows.
        """
        if is_arrow(item):
            self._check_schema(item.schema)
        return item

    def _check_schema(self, schema: pa.Schema) -> None:
        spec, name = self._spec, str(self._spec.cursor_field)
        if name not in schema.names:
            msg = (
                f"cursor_field of resource {spec.name!r} names {name!r}, which is not a column of "
                f"its rows; their columns are {', '.join(schema.names)}"
            )
            raise PipelineConfigurationError(msg)
        kind = schema.field(name).type
        is_time = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
        if is_time and self._has_other_initial_value():
            right = "'2024-01-01'" if pa.types.is_date(kind) else "'2024-01-01T00:00:00Z'"
            msg = (
                f"initial_value of resource {spec.name!r} cannot be compared with column {name!r}, "
                f"which is {kind}; use a date or timestamp in ISO 8601, such as {right}"
            )
            raise PipelineConfigurationError(msg)

    def _has_other_initial_value(self) -> bool:
        value = self._spec.initial_value
        return value is not None and not is_date_or_timestamp(value)


def check_cursor(resource: DltResource, spec: ResourceSpec) -> None:
    """Add the step to a resource with a cursor."""
    if spec.cursor_field is not None:
        resource.add_step(CursorFits(spec))
