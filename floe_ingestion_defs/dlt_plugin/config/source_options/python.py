"""Options of a source that is written in Python."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator

from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions

_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class PythonOptions(SourceOptions):
    """A dlt source or resource that a Python function returns."""

    factory: str = Field(
        description="Function that returns the source, as module:function, such as "
        "dlt_sources.shop:source.",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Keyword arguments of the function."
    )
    resource_names: tuple[str, ...] = Field(
        min_length=1,
        description="Resources of the source to load. They are listed here so that the factory is "
        "not executed at definition time.",
    )

    @field_validator("factory")
    @classmethod
    def _factory_is_a_function(cls, value: str) -> str:
        if not _FACTORY.fullmatch(value):
            msg = f"{value!r} is not module:function; use one such as dlt_sources.shop:source"
            raise ValueError(msg)
        return value
