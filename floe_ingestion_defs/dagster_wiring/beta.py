"""Parts of Dagster that are in beta and used here knowingly, so that no log warns of them.

Each is named where it is used. Whatever else is in beta goes on warning, a person's own code too.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def allow_beta(*names: str) -> Iterator[None]:
    """Keep Dagster from warning that something is in beta or preview, for a block or a function.

    Args:
        names: What is used, as Dagster's warning writes it between backticks.
    """
    with warnings.catch_warnings():
        for name in names:
            _ignore(re.escape(f"`{name}`"))
        yield


def expect_converted_checks() -> None:
    """Keep Dagster from warning, for the rest of the process, of what it does by itself.

    It copies the checks of every component with a parameter of its own that is in beta, when it
    makes the repository of a location that has been loaded.
    """
    _ignore(
        "Parameter `execution_type` of function `AssetsDefinition.__init__`",
        module=r"dagster\._core\.definitions\.repository_definition\.repository_data",
    )


def _ignore(message: str, module: str = "") -> None:
    for category in (dg.BetaWarning, dg.PreviewWarning):
        warnings.filterwarnings("ignore", f".*{message}", category, module)
