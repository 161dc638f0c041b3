"""Retries a load after transient failures, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_base, wait_exponential_jitter

from floe_ingestion_defs.dlt_plugin.errors.categories import categorize_error, retry_after_seconds
from floe_ingestion_defs.dlt_plugin.errors.exceptions import ErrorCategory
from floe_ingestion_defs.dlt_plugin.telemetry.metrics import count_retry

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.config.models import RetryConfig

_LOG = structlog.get_logger(__name__)
_LONGEST_WAIT_SECONDS = 300.0


class _WaitAsRequested(wait_base):
    """Waits as long as the server requests; otherwise exponentially, with jitter."""

    def __init__(self, initial_seconds: float) -> None:
        self._exponential = wait_exponential_jitter(
            multiplier=initial_seconds, max=_LONGEST_WAIT_SECONDS, jitter=initial_seconds
        )

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = retry_after_seconds(error) if error is not None else None
        wait = self._exponential(retry_state)
        return wait if asked is None else min(max(asked, wait), _LONGEST_WAIT_SECONDS)


def is_transient(error: BaseException) -> bool:
    """Return whether the same load can succeed if it is retried."""
    return isinstance(error, Exception) and categorize_error(error) is ErrorCategory.TRANSIENT


def retrying(config: RetryConfig, source_name: str) -> Retrying:
    """Return the attempts of a load, which end when it succeeds or its error is not transient.

    Args:
        config: Number of retries, and the delay between them.
        source_name: Name of the source, for the log.
    """

    def log_retry(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        count_retry(source_name)
        _LOG.warning(
            "load failed, retrying",
            source=source_name,
            attempt=state.attempt_number,
            wait_seconds=round(state.upcoming_sleep, 3),
            error=str(error),
        )

    return Retrying(
        stop=stop_after_attempt(config.max_retries + 1),
        wait=_WaitAsRequested(config.initial_delay_seconds),
        retry=retry_if_exception(is_transient),
        before_sleep=log_retry,
        reraise=True,
    )
