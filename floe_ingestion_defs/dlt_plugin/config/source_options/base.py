"""Base of the models that `source_config` is validated against."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SourceOptions(BaseModel):
    """Fields of `source_config`, under dlt's own argument names wherever dlt has one."""

    # Inputs are left out of error messages: a misplaced password must not reach a log.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True
    )
