"""Options of a source that people write themselves."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions


class PythonOptions(SourceOptions):
    """A dlt source or resource made by a function."""

    factory: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="Function that makes the source, such as dlt_sources.shop:source.",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Keyword arguments of the function."
    )
    resource_names: tuple[str, ...] = Field(
        min_length=1,
        description="Resources of the source to load, named here so that nothing of it runs "
        "before a load.",
    )
