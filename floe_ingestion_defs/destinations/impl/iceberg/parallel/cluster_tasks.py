"""What a worker of a cluster calls for a task, so that the driver gets the error that it raises."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# So that a worker has its next task when it ends one.
TASKS_PER_CORE = 2


class TaskFailed(Exception):
    """A task failed with an error that cannot be pickled; the message contains it."""


def call(fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Return what a function returns.

    Raises:
        TaskFailed: It raised an error that cannot be pickled.
    """
    try:
        return fn(*args, **kwargs)
    except Exception as error:
        # A process boundary: the driver would wait forever for an error that it cannot unpickle.
        failure = _picklable(error)
    # Not while the error is handled: Dask's pickles contain the context of an exception, too.
    raise failure


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # any error: pickling calls methods of the error's own class
        return TaskFailed(f"{type(error).__name__}: {error}")
    return error
