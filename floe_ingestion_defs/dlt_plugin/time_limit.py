"""Calls into drivers, which do not all heed a time-out: they are given up after a time limit."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class NoAnswer(TimeoutError):
    """What was asked did not answer within its time limit."""


def call_within(seconds: float, call: Callable[[], T], *, subject: str) -> T:
    """Return what a call returns, or raise what it raises, unless it takes too long.

    Args:
        seconds: The time limit.
        call: The call. One that hangs goes on in a thread of its own, which does not keep the
            process from ending.
        subject: What is asked, for the error.

    Raises:
        NoAnswer: The time limit passed.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # handed over to the thread that waits, whatever it is
            outcome.set_exception(error)

    threading.Thread(target=work, name=f"floe-{subject}", daemon=True).start()
    if not wait([outcome], seconds).done:
        msg = f"{subject} did not answer within {seconds:g} seconds"
        raise NoAnswer(msg)
    return outcome.result()
