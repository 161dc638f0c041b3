"""Drops dlt's warning that hints of Arrow columns differ, where the difference means nothing.

dlt warns once per table and load when declared or reflected hints are not those of the Arrow
columns. The precision of an integer, the time zone of a timestamp or whether a column may be null
differ for most databases; only another data type or scale is worth a warning.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

_MERGING = "when merging arrow schema with dlt schema"
_WITHOUT_MEANING = frozenset({"precision", "timezone", "nullable"})


class _MeaningfulDifferences(logging.Filter):
    """Accepts the warning only if it is about more than `_WITHOUT_MEANING`."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _MERGING not in str(record.msg):
            return True
        frame = sys._getframe(1)  # noqa: SLF001
        # The message names no column, so both schemas are read where dlt compares them.
        while frame.f_back is not None and frame.f_code.co_name != "_compute_tables":
            frame = frame.f_back
        read, declared = (frame.f_locals.get(n) for n in ("arrow_table", "computed_table"))
        if not isinstance(read, Mapping) or not isinstance(declared, Mapping):
            return True
        return any(
            hint not in _WITHOUT_MEANING and declared_hints.get(hint, value) not in (value, None)
            for name, hints in read["columns"].items()
            for declared_hints in [declared["columns"].get(name, {})]
            for hint, value in hints.items()
        )


_FILTER = _MeaningfulDifferences()


def drop_warnings_about_hints() -> None:
    """Add the filter to dlt's log, once per process."""
    logging.getLogger("dlt").addFilter(_FILTER)
