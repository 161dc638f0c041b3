"""Attempts at a commit until it is known to be applied, with growing waits and a time limit."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar, cast

from pyiceberg.exceptions import BadRequestError, ForbiddenError
from tenacity import (
    RetryError,
    Retrying,
    retry_all,
    retry_if_exception_type,
    retry_if_not_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_random_exponential,
)

from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import CommitOutcomeUnknown
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    CommitConflict,
    CommitContention,
    ReadTooLongAgo,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

T = TypeVar("T")

COMMIT_DEADLINE_SECONDS = 120.0
# A catalog whose responses are lost this often in a commit is considered down.
_MOST_UNKNOWN_OUTCOMES = 4
# Responses that the next attempt would get, too; still, an earlier request may have been applied.
_REPEATED_RESPONSES = (BadRequestError, ForbiddenError)


def commit_certainly(
    what: str, attempt: Callable[[], T], deadline_seconds: float = COMMIT_DEADLINE_SECONDS
) -> T:
    """Attempt a commit until it is known to be applied.

    Args:
        what: What is being committed, for the error.
        attempt: Reads, returns if the commit is applied already, and else commits on what it read.
            This also resolves an unknown outcome.
        deadline_seconds: No attempt starts later than this many seconds after the first.

    Raises:
        CommitContention: Other writers won every attempt within the time.
        Exception: What the catalog raised, where the outcome of the commit stayed unknown
            repeatedly.
    """
    try:
        return _commit_certainly(what, attempt, deadline_seconds)
    except ReadTooLongAgo:
        # The time for which a process was suspended is not time in which other writers won.
        return _commit_certainly(what, attempt, deadline_seconds)
    except CommitConflict as conflict:
        msg = (
            f"{what} conflicted with other writers in each attempt within {deadline_seconds:.0f} "
            "seconds. Run it again, or run fewer writers at once."
        )
        raise CommitContention(msg) from conflict
    except CommitOutcomeUnknown as error:
        # What the catalog's error was caused by says more than that its outcome was unknown.
        raise error.cause from error.cause.__cause__


def _commit_certainly(what: str, attempt: Callable[[], T], deadline_seconds: float) -> T:
    patience = _Backoff(deadline_seconds)
    is_retried = retry_if_exception_type((CommitConflict, CommitOutcomeUnknown))
    is_too_late = retry_if_not_exception_type(ReadTooLongAgo)
    retrying = Retrying(
        retry=retry_all(is_retried, is_too_late),
        stop=patience.stop,
        wait=patience.wait,
        reraise=True,
    )
    return retrying(attempt)


class _Backoff:
    """How long to wait between the attempts at one commit, and when to give up."""

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        self._unknown_outcomes = 0

    def wait(self, state: RetryCallState) -> float:
        """Return the seconds to wait before the next attempt."""
        if state.outcome and isinstance(state.outcome.exception(), CommitOutcomeUnknown):
            # An overloaded server needs seconds to recover: 0.25, 1, 4.
            self._unknown_outcomes += 1
            return 0.25 * 4.0 ** (self._unknown_outcomes - 1)
        # Full jitter. A conflict means that another writer made progress, so the wait grows slowly:
        # doubled, it made the last of 8 writers wait for as long as all the others took together.
        longest = min(0.02 * 1.6 ** (state.attempt_number - 1), 1.0)
        return random.uniform(0, longest)  # noqa: S311

    def stop(self, state: RetryCallState) -> bool:
        """Return whether to give up."""
        elapsed = state.seconds_since_start or 0.0
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, CommitOutcomeUnknown) and isinstance(error.cause, _REPEATED_RESPONSES):
            return True
        return self._unknown_outcomes >= _MOST_UNKNOWN_OUTCOMES or elapsed > self._deadline_seconds


def read_until_found(what: str, read: Callable[[], T | None], deadline_seconds: float) -> T:
    """Read until something is found, with growing waits.

    Args:
        what: What is being read, for the error.
        read: Returns None as long as it is not found.
        deadline_seconds: No attempt starts later than this many seconds after the first.

    Raises:
        CommitContention: It was not found in time.
    """
    absent = retry_if_result(lambda found: found is None)
    wait = wait_random_exponential(multiplier=0.02, max=1)
    try:
        found = Retrying(retry=absent, stop=stop_after_delay(deadline_seconds), wait=wait)(read)
    except RetryError as error:
        msg = f"{what} did not succeed within {deadline_seconds:.0f} seconds. Run it again."
        raise CommitContention(msg) from error
    return cast("T", found)
