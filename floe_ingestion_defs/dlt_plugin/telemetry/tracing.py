"""OpenTelemetry spans around the plugin's operations.

Only the API is required: without an SDK the spans cost nothing and are discarded.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from floe_ingestion_defs.dlt_plugin.errors.categories import categorize_error
from floe_ingestion_defs.dlt_plugin.errors.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TRACER = trace.get_tracer("floe_ingestion_defs.dlt_plugin")


@contextmanager
def traced(
    name: str, attributes: Mapping[str, Any] | None = None, redactor: Redactor | None = None
) -> Iterator[Span]:
    """Create a span around a block; an error is recorded on the span and raised again.

    Args:
        name: Name of the span.
        attributes: Attributes known at the start; those that are None are omitted.
        redactor: Redacts secrets from an error's message.
    """
    known = {key: value for key, value in (attributes or {}).items() if value is not None}
    # The library's own recording of an exception would export its traceback with its secrets.
    with _TRACER.start_as_current_span(
        name, attributes=known, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Exception as error:
            message = (redactor or Redactor()).clean(str(error))
            span.set_attribute("error.type", type(error).__name__)
            span.set_attribute("error.message", message)
            span.set_attribute("error.category", categorize_error(error).value)
            span.set_status(Status(StatusCode.ERROR, message))
            raise
