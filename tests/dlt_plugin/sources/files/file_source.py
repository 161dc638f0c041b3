"""The source of files that a test configures, and the types of its fixtures."""

from collections.abc import Callable
from typing import Any

from floe_ingestion_defs.dlt_plugin import LoadResult

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]


def configured(source: Source, **options: Any) -> Source:
    """Return the source with further options."""
    return {**source, "source_config": {**source["source_config"], **options}}
