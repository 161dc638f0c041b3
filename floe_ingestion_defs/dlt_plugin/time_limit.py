"""Calls with a time limit, for drivers that do not support timeouts."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class NoAnswer(TimeoutError):
    """A call did not return within its time limit."""


def call_within(seconds: float, call: Callable[[], T], *, subject: str) -> T:
    """Return the result of a call, or raise its error, within a time limit.

    Args:
        seconds: The time limit.
        call: The call. A call that hangs continues in a separate thread, which does not prevent
            the process from ending.
        subject: What is called, for the error.

    Raises:
        NoAnswer: The time limit was exceeded.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # any error is passed to the waiting thread
            outcome.set_exception(error)

    threading.Thread(target=work, name=f"floe-{subject}", daemon=True).start()
    if not wait([outcome], seconds).done:
        msg = f"{subject} did not respond within {seconds:g} seconds"
        raise NoAnswer(msg)
    return outcome.result()
