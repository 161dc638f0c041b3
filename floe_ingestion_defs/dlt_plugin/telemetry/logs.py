"""Format of the logs: for a console, or, with `FLOE_LOG_FORMAT=json`, one JSON object per line.

It is a setting of the process, so it is read from the environment. A process that has configured
structlog itself, or has its own handlers for Python's logging, keeps its configuration.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

LOG_FORMAT_VARIABLE = "FLOE_LOG_FORMAT"
# The layers below log with Python's own logging, which needs no dependency.
_ROOT_LOGGER = "floe_ingestion_defs"


def configure_logs() -> None:
    """Configure the format of the logs, once per process and only if it is not configured yet.

    Raises:
        PipelineConfigurationError: The environment requests an unknown format.
    """
    renderer = _renderer(os.environ.get(LOG_FORMAT_VARIABLE, "console"))
    if structlog.is_configured():
        return
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper("iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*common, renderer],
        # Evaluated each time: standard error can be replaced, as it is in tests.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _LastResort()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=common,
        )
    )
    logging.getLogger(_ROOT_LOGGER).addHandler(handler)


class _LastResort(logging.Handler):
    """Writes a record to standard error, as Python does if no handler is configured."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            print(self.format(record), file=sys.stderr)  # noqa: T201


def _renderer(log_format: str) -> Any:
    match log_format:
        case "json":
            return structlog.processors.JSONRenderer(default=str)
        case "console":
            return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        case _:
            msg = f"{LOG_FORMAT_VARIABLE} is {log_format!r}, but must be 'console' or 'json'"
            raise PipelineConfigurationError(msg)
