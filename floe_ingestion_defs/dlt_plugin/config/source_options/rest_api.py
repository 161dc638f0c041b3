"""Options of dlt's declarative REST source: its `client`, `resource_defaults` and `resources`.

Deeper levels (authentication, paginators, parameters) are dlt's own and are validated by dlt when
the source is built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions
from floe_ingestion_defs.dlt_plugin.config.source_options.paginators import check_paginator


class RestClientOptions(SourceOptions):
    """How to reach the API."""

    base_url: str = Field(description="URL to which the paths of the endpoints are appended.")
    headers: dict[str, Any] | None = Field(
        default=None, repr=False, description="Headers of every request."
    )
    auth: str | dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="Authentication, as in dlt: a type (bearer, api_key, http_basic, "
        "oauth2_client_credentials) with its fields.",
    )
    paginator: str | dict[str, Any] | None = Field(
        default=None,
        description="Paginator, as in dlt: a type, or a type with its fields.",
    )
    session: Any = Field(default=None, repr=False, description="A requests session; Python only.")

    @field_validator("paginator")
    @classmethod
    def _paginator_is_known(cls, value: Any) -> Any:
        return check_paginator(value)


class EndpointOptions(SourceOptions):
    """One endpoint, with dlt's field names."""

    @model_validator(mode="before")
    @classmethod
    def _a_path_alone_will_do(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    path: str | None = Field(default=None, description="Path of the endpoint, below base_url.")
    method: str | None = Field(default=None, description="HTTP method. Default: GET.")
    params: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="Query parameters, including those of type incremental and resolve.",
    )
    json_: Any = Field(default=None, alias="json", repr=False, description="JSON body.")
    data: Any = Field(default=None, repr=False, description="Body in another format than JSON.")
    headers: dict[str, Any] | None = Field(
        default=None, repr=False, description="Headers of this endpoint."
    )
    auth: str | dict[str, Any] | None = Field(
        default=None, repr=False, description="Authentication of this endpoint."
    )
    paginator: str | dict[str, Any] | None = Field(
        default=None, description="Paginator of this endpoint."
    )
    data_selector: str | None = Field(
        default=None, description="JSON path of the rows in a response."
    )
    response_actions: list[Any] | None = Field(
        default=None, description="Actions for given status codes or contents of a response."
    )
    incremental: dict[str, Any] | None = Field(
        default=None,
        description="Incremental loading, as in dlt: cursor_path, start_param, initial_value, …",
    )

    @field_validator("paginator")
    @classmethod
    def _paginator_is_known(cls, value: Any) -> Any:
        return check_paginator(value)


class ResourceDefaultsOptions(SourceOptions):
    """Defaults for every resource of the API."""

    endpoint: EndpointOptions | None = Field(
        default=None, description="Path of the endpoint, or the endpoint with its fields."
    )
    include_from_parent: list[str] | None = Field(
        default=None, description="Fields of the parent's row to add to each row."
    )
    write_disposition: str | dict[str, Any] | None = Field(
        default=None, description="dlt's write disposition; write_mode takes precedence if set."
    )
    primary_key: str | list[str] | None = Field(
        default=None, description="Column or columns that uniquely identify a row."
    )
    merge_key: str | list[str] | None = Field(
        default=None,
        description="Column or columns that identify a group of rows, which a merge replaces as "
        "a whole.",
    )
    columns: Any = Field(default=None, description="Declared columns, in dlt's format.")
    max_table_nesting: int | None = Field(
        default=None, ge=0, description="Maximum depth at which nested values become tables."
    )
    selected: bool | None = Field(
        default=None,
        description="Whether to load the resource; false for a parent resource that is read only "
        "to drive its children.",
    )
    parallelized: bool | None = Field(
        default=None,
        description="Whether to extract the resource in parallel with other resources.",
    )
    processing_steps: list[dict[str, Any]] | None = Field(
        default=None, description="Processing steps (filter, map, yield_map); Python only."
    )


class EndpointResourceOptions(ResourceDefaultsOptions):
    """One resource of the API."""

    name: str = Field(
        min_length=1, description="Name of the resource, which is also its default path."
    )

    @model_validator(mode="before")
    @classmethod
    def _a_path_alone_will_do(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class RestApiOptions(SourceOptions):
    """A JSON API over HTTP."""

    client: RestClientOptions = Field(description="How to reach the API.")
    resource_defaults: ResourceDefaultsOptions | None = Field(
        default=None, description="Defaults for every resource."
    )
    resources: list[EndpointResourceOptions] = Field(
        min_length=1, description="Resources: each a path, or a name with its endpoint."
    )
    max_table_nesting: int | None = Field(
        default=None, ge=0, description="Maximum depth at which nested values become tables."
    )
    pages_as_arrow: bool = Field(
        default=True,
        description="Whether to convert pages to Arrow tables column by column, which skips "
        "dlt's own normalization.",
    )


def uses_incremental(resource: Mapping[str, Any]) -> bool:
    """Return whether a resource defines where the cursor's value goes in its requests."""
    endpoint = resource.get("endpoint")
    return isinstance(endpoint, Mapping) and (
        endpoint.get("incremental") is not None
        or has_incremental_param(endpoint)
        or has_cursor_placeholder(endpoint)
    )


def has_incremental_param(endpoint: Mapping[str, Any]) -> bool:
    """Return whether a query parameter is of dlt's type `incremental`."""
    return any(
        isinstance(param, Mapping) and param.get("type") == "incremental"
        for param in (endpoint.get("params") or {}).values()
    )


def has_cursor_placeholder(endpoint: Mapping[str, Any]) -> bool:
    """Return whether `{incremental.start_value}` or the like is anywhere in a request."""
    return "{incremental." in json.dumps(endpoint, default=str)
