"""OpenTelemetry metrics of loads: rows, bytes, durations, failures, retries.

Only the API is needed; without an SDK they cost nothing and go nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

_METER = metrics.get_meter("floe_ingestion_defs.dlt_plugin")
_ROWS = _METER.create_counter("ingestion.rows_loaded", "{row}", "Rows that were loaded.")
_BYTES = _METER.create_counter("ingestion.bytes_written", "By", "Bytes of files that were written.")
_DURATION = _METER.create_histogram("ingestion.duration", "s", "Seconds that loads took.")
_FAILURES = _METER.create_counter("ingestion.failures", "{load}", "Loads that failed.")
_RETRIES = _METER.create_counter("ingestion.retries", "{try}", "Tries after the first of a load.")


def count_load(about: Mapping[str, str], rows: int, bytes_written: int, seconds: float) -> None:
    """Count a load that succeeded.

    Args:
        about: Source name, source type and the like, as for spans.
        rows: Rows that it loaded.
        bytes_written: Bytes of data files.
        seconds: How long it took.
    """
    _ROWS.add(rows, about)
    _BYTES.add(bytes_written, about)
    _DURATION.record(seconds, about)


def count_failure(about: Mapping[str, str], category: str, seconds: float) -> None:
    """Count a load that failed, by the category of its error."""
    _FAILURES.add(1, {**about, "error.category": category})
    _DURATION.record(seconds, {**about, "error.category": category})


def count_retry(source_name: str) -> None:
    """Count a further try of a load."""
    _RETRIES.add(1, {"ingestion.source_name": source_name})
