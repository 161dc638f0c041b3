"""Sources of type `rest_api`: JSON APIs, through dlt's declarative REST source."""

from __future__ import annotations

import copy
import socket
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from floe_ingestion_defs.dlt_plugin.config.source_options import rest_resources
from floe_ingestion_defs.dlt_plugin.config.source_options.rest_api import (
    RestApiOptions,
    has_incremental_param,
    uses_incremental,
)
from floe_ingestion_defs.dlt_plugin.cursors.incremental import cursor_for
from floe_ingestion_defs.dlt_plugin.cursors.values import as_json_value
from floe_ingestion_defs.dlt_plugin.sources.base import SourceType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections
    from floe_ingestion_defs.window import Window

_PORTS = {"http": 80, "https": 443}


class RestApiSource(SourceType):
    """Resources of one API, including those that others depend on."""

    name: ClassVar[str] = "rest_api"

    def build(
        self,
        source: IngestionSourceConfig,
        options: RestApiOptions,
        specs: Sequence[ResourceSpec],
        request: LoadRequest,
        rejections: Mapping[str, Rejections],
    ) -> list[DltResource]:
        """Return all resources of the API: one may require another that is not loaded itself."""
        from dlt.sources.rest_api import rest_api_resources

        from floe_ingestion_defs.dlt_plugin.sources.rest.json_pages import read_pages_as_arrow

        by_name = {spec.name: spec for spec in specs}
        own = copy.deepcopy(dict(source.source_config))
        config: dict[str, Any] = {
            "client": _client(source, own["client"]),
            "resources": [_resource(resource, by_name, request) for resource in own["resources"]],
        }
        defaults = _endpoint(own.get("resource_defaults") or {})
        for resource in config["resources"]:
            if spec := by_name.get(resource["name"]):
                _check_selector(resource, defaults, spec)
        if own.get("resource_defaults"):
            config["resource_defaults"] = own["resource_defaults"]
        resources = rest_api_resources(config)  # type: ignore[arg-type]
        for resource in resources:
            if options.max_table_nesting is not None and resource.max_table_nesting is None:
                resource.max_table_nesting = options.max_table_nesting
        for name, settings in rest_resources(own).items():
            if name in by_name and not uses_incremental(settings):
                _add_cursor(next(r for r in resources if r.name == name), by_name[name], request)
        for resource in resources:
            spec = by_name.get(resource.name)
            if options.pages_as_arrow and spec is not None and not spec.keeps_nested:
                read_pages_as_arrow(resource, spec)
            if request.limit is not None and resource.name in by_name:
                resource.add_limit(request.limit, count_rows=True)
        return resources

    def check(self, source: IngestionSourceConfig, options: RestApiOptions, timeout: float) -> None:
        """Open a connection to the API's host, or to its proxy."""
        from requests.utils import get_environ_proxies, select_proxy

        url = options.client.base_url
        proxy = select_proxy(url, get_environ_proxies(url))
        parts = urlsplit(proxy or url)
        if parts.hostname is None:
            msg = (
                "source_config.client.base_url is not a valid URL; use one such as https://host/v1"
            )
            raise ValueError(msg)
        port = parts.port or _PORTS.get(parts.scheme, 443)
        with socket.create_connection((parts.hostname, port), timeout=timeout):
            pass


def _client(source: IngestionSourceConfig, client: dict[str, Any]) -> dict[str, Any]:
    from floe_ingestion_defs.dlt_plugin.sources.rest.json_responses import make_session

    if client.get("session") is None:
        client = {**client, "session": make_session()}
    if source.credentials is None or client.get("auth") is not None:
        return client
    credentials = source.credentials
    if isinstance(credentials, dict):
        auth = {key: value.get_secret_value() for key, value in credentials.items()}
    else:
        auth = {"type": "bearer", "token": credentials.get_secret_value()}
    return {**client, "auth": auth}


def _resource(resource: Any, specs: Mapping[str, ResourceSpec], request: LoadRequest) -> Any:
    if isinstance(resource, str):
        resource = {"name": resource}
    spec = specs.get(resource["name"])
    if spec is None or not uses_incremental(resource) or spec.cursor_field is None:
        return resource
    endpoint = resource["endpoint"]
    if request.window:
        _request_window(endpoint, spec, request.window)
    elif endpoint.get("incremental") is None and not has_incremental_param(endpoint):
        endpoint["incremental"] = {
            "cursor_path": spec.cursor_field,
            **({} if spec.initial_value is None else {"initial_value": spec.initial_value}),
            **({} if spec.lag is None else {"lag": spec.lag}),
        }
    return resource


def _check_selector(
    resource: dict[str, Any], defaults: Mapping[str, Any], spec: ResourceSpec
) -> None:
    """Have the data selector of a resource checked against the first response."""
    from floe_ingestion_defs.dlt_plugin.sources.rest.data_selectors import SelectorCheck

    own = _endpoint(resource)
    endpoint = {**defaults, **own}
    if selector := endpoint.get("data_selector"):
        check = SelectorCheck(spec.name, spec.table_name, selector)
        actions = [*(endpoint.get("response_actions") or []), check]
        resource["endpoint"] = {**own, "response_actions": actions}


def _endpoint(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the endpoint of a resource, which may be given as a path alone."""
    endpoint = resource.get("endpoint") or {}
    return {"path": endpoint} if isinstance(endpoint, str) else dict(endpoint)


def _request_window(endpoint: dict[str, Any], spec: ResourceSpec, window: Window[Any]) -> None:
    bounds = {
        "initial_value": as_json_value(window.start),
        "end_value": as_json_value(window.end),
    }
    for param in (endpoint.get("params") or {}).values():
        if isinstance(param, dict) and param.get("type") == "incremental":
            param.update(bounds)
            return
    own = {"cursor_path": spec.cursor_field, **(endpoint.get("incremental") or {})}
    endpoint["incremental"] = {**own, **bounds}


def _add_cursor(resource: DltResource, spec: ResourceSpec, request: LoadRequest) -> None:
    """Filter out rows at or before the cursor, if the API has no parameter for it."""
    cursor = cursor_for(spec, request, as_json_value)
    if cursor is not None:
        # As a separate step: dlt would pass a hint on to the requests, which do not use it.
        resource.add_step(cursor)
