"""Base of the models that `source_config` is validated against."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SourceOptions(BaseModel):
    """What `source_config` may hold; dlt's own argument names wherever dlt has one."""

    # Inputs stay out of error texts: a misplaced password must not reach a log.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True
    )
