"""Suppresses warnings about beta features of Dagster that are used here deliberately.

Each feature is named where it is used. Any other beta feature still causes a warning, in a user's
own code too.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def allow_beta(*names: str) -> Iterator[None]:
    """Suppress Dagster's warning that a feature is in beta or preview, in a block or a function.

    Args:
        names: Features that are used, as Dagster's warning names them: a name between backticks, or
            several words.
    """
    with warnings.catch_warnings():
        for name in names:
            _ignore(re.escape(name if " " in name else f"`{name}`"))
        yield


def expect_converted_checks() -> None:
    """Suppress, for the rest of the process, a warning that Dagster causes itself.

    When it creates the repository of a loaded location, it copies the checks of every component
    with one of its own parameters that is in beta.
    """
    _ignore(
        "Parameter `execution_type` of function `AssetsDefinition.__init__`",
        module=r"dagster\._core\.definitions\.repository_definition\.repository_data",
    )


def _ignore(message: str, module: str = "") -> None:
    for category in (dg.BetaWarning, dg.PreviewWarning):
        warnings.filterwarnings("ignore", f".*{message}", category, module)
