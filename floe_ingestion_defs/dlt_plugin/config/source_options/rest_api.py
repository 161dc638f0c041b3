"""Options of dlt's declarative REST source: its `client`, `resource_defaults` and `resources`.

What lies deeper than these models (authentication, paginators, parameters) is dlt's own and
is checked by dlt when the source is built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions


class RestClientOptions(SourceOptions):
    """How the API is reached."""

    base_url: str = Field(description="URL that the paths of the endpoints are appended to.")
    headers: dict[str, Any] | None = Field(
        default=None, repr=False, description="Headers sent with every request."
    )
    auth: str | dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="dlt's authentication: a type (bearer, api_key, http_basic, "
        "oauth2_client_credentials) with its fields.",
    )
    paginator: str | dict[str, Any] | None = Field(
        default=None, description="dlt's paginator: its type, or the type with its fields."
    )
    session: Any = Field(default=None, repr=False, description="A requests session; Python only.")


class EndpointOptions(SourceOptions):
    """One endpoint, in dlt's names."""

    @model_validator(mode="before")
    @classmethod
    def _a_path_alone_will_do(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    path: str | None = Field(default=None, description="Path below base_url.")
    method: str | None = Field(default=None, description="HTTP method, GET by default.")
    params: dict[str, Any] | None = Field(
        default=None, repr=False, description="Query parameters, incremental and resolved ones too."
    )
    json_: Any = Field(default=None, alias="json", repr=False, description="JSON body.")
    data: Any = Field(default=None, repr=False, description="Body that is not JSON.")
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
        default=None, description="What is done on given status codes or contents."
    )
    incremental: dict[str, Any] | None = Field(
        default=None, description="dlt's incremental: cursor_path, start_param, initial_value, …"
    )


class ResourceDefaultsOptions(SourceOptions):
    """What holds for every resource of the API that does not say otherwise."""

    endpoint: EndpointOptions | None = Field(
        default=None, description="Path of the endpoint, or the endpoint with its fields."
    )
    include_from_parent: list[str] | None = Field(
        default=None, description="Fields of the parent's row that are added to each row."
    )
    write_disposition: str | dict[str, Any] | None = Field(
        default=None, description="dlt's write disposition; write_mode has precedence if given."
    )
    primary_key: str | list[str] | None = Field(default=None, description="Key of a row.")
    merge_key: str | list[str] | None = Field(default=None, description="Key of a range of rows.")
    columns: Any = Field(default=None, description="Declared columns, as dlt takes them.")
    max_table_nesting: int | None = Field(
        default=None, ge=0, description="Depth down to which nested values become tables."
    )
    selected: bool | None = Field(
        default=None, description="Whether the resource is loaded; a parent need not be."
    )
    parallelized: bool | None = Field(
        default=None, description="Whether it is extracted in parallel with others."
    )
    processing_steps: list[dict[str, Any]] | None = Field(
        default=None, description="dlt's filter, map and yield_map steps; Python only."
    )


class EndpointResourceOptions(ResourceDefaultsOptions):
    """One resource of the API."""

    name: str = Field(min_length=1, description="Name of the resource, and its path by default.")

    @model_validator(mode="before")
    @classmethod
    def _a_path_alone_will_do(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class RestApiOptions(SourceOptions):
    """A JSON API over HTTP."""

    client: RestClientOptions = Field(description="How the API is reached.")
    resource_defaults: ResourceDefaultsOptions | None = Field(
        default=None, description="What holds for every resource that does not say otherwise."
    )
    resources: list[EndpointResourceOptions] = Field(
        min_length=1, description="Resources: each a path, or a name with its endpoint."
    )
    max_table_nesting: int | None = Field(
        default=None, ge=0, description="Depth down to which nested values become tables."
    )
    flat_pages_as_arrow: bool = Field(
        default=True,
        description="Whether pages without lists in their rows skip dlt's own normalization.",
    )


def uses_incremental(resource: Mapping[str, Any]) -> bool:
    """Whether a resource itself says where the cursor's value goes in its requests."""
    endpoint = resource.get("endpoint")
    return isinstance(endpoint, Mapping) and (
        endpoint.get("incremental") is not None
        or has_incremental_param(endpoint)
        or has_cursor_placeholder(endpoint)
    )


def has_incremental_param(endpoint: Mapping[str, Any]) -> bool:
    """Whether a query parameter is of dlt's type `incremental`."""
    return any(
        isinstance(param, Mapping) and param.get("type") == "incremental"
        for param in (endpoint.get("params") or {}).values()
    )


def has_cursor_placeholder(endpoint: Mapping[str, Any]) -> bool:
    """Whether `{incremental.start_value}` or its like stands anywhere in a request."""
    return "{incremental." in json.dumps(endpoint, default=str)
