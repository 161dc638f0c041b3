"""OpenTelemetry metrics of loads: rows, bytes, durations, failures, retries.

Only the API is required; without an SDK the metrics cost nothing and are discarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

_METER = metrics.get_meter("floe_ingestion_defs.dlt_plugin")
_ROWS = _METER.create_counter("ingestion.rows_loaded", "{row}", "Rows loaded.")
_BYTES = _METER.create_counter("ingestion.bytes_written", "By", "Bytes of data files written.")
_DURATION = _METER.create_histogram("ingestion.duration", "s", "Duration of loads in seconds.")
_FAILURES = _METER.create_counter("ingestion.failures", "{load}", "Failed loads.")
_RETRIES = _METER.create_counter("ingestion.retries", "{retry}", "Retries of loads.")


def count_load(about: Mapping[str, str], rows: int, bytes_written: int, seconds: float) -> None:
    """Count a load that succeeded.

    Args:
        about: Source name, source type and the like, as for spans.
        rows: Rows loaded.
        bytes_written: Bytes of data files written.
        seconds: Duration of the load.
    """
    _ROWS.add(rows, about)
    _BYTES.add(bytes_written, about)
    _DURATION.record(seconds, about)


def count_failure(about: Mapping[str, str], category: str, seconds: float) -> None:
    """Count a load that failed, by the category of its error."""
    _FAILURES.add(1, {**about, "error.category": category})
    _DURATION.record(seconds, {**about, "error.category": category})


def count_retry(source_name: str) -> None:
    """Count a retry of a load."""
    _RETRIES.add(1, {"ingestion.source_name": source_name})
