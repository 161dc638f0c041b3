"""What the logs look like: for people, or, with `FLOE_LOG_FORMAT=json`, a JSON object a line.

It is a setting of the process, so it stands in the environment. A process that has configured
structlog itself, or has handlers of its own for Python's logging, keeps what it has.
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
_BELOW = "floe_ingestion_defs"


def configure_logs() -> None:
    """Set the format of the logs, once in a process and only where nobody else has.

    Raises:
        PipelineConfigurationError: The environment asks for a format that there is not.
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
        # Asked for each time: what standard error is can change, and does under test.
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
    logging.getLogger(_BELOW).addHandler(handler)


class _LastResort(logging.Handler):
    """Writes a record to standard error, as Python does where nobody has set up a handler."""

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
            msg = f"{LOG_FORMAT_VARIABLE} is {log_format!r}; there are 'console' and 'json'"
            raise PipelineConfigurationError(msg)
