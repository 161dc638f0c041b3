"""Converts the plugin's catalog configuration to the arguments of the destination `iceberg`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.config.placeholders import missing_names, resolve_placeholders
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

DEFAULT_CATALOG = "floe"
# Names such as `s3_access_key_id`, which users know from dbt, Trino and MinIO, are pyiceberg's
# `s3.access-key-id`: https://py.iceberg.apache.org/configuration/
_STORAGE_KEY = re.compile(r"(?P<service>s3|gcs|adls|hdfs|glue|dynamodb|client)_(?P<rest>\w+)")
_NAMED = {
    "catalog_name": ("catalog_name", "name"),
    "catalog_type": ("catalog_type", "type"),
    "catalog_uri": ("catalog_uri", "uri"),
    "warehouse": ("warehouse",),
}


class DestinationConfig(dict[str, Any]):
    """Arguments of the destination; `repr` omits their values, because some are secrets."""

    def __repr__(self) -> str:
        shown = {
            key: value
            for key, value in self.items()
            if key in ("destination", "catalog_name", "catalog_type")
        }
        return f"DestinationConfig({shown}, …)"

    __str__ = __repr__


def destination_config(catalog_config: Mapping[str, Any]) -> DestinationConfig:
    """Return the arguments with which `iceberg(**…)` opens the configured catalog.

    Args:
        catalog_config: pyiceberg catalog properties, which override those of the environment;
            placeholders are resolved.

    Raises:
        PipelineConfigurationError: A placeholder's variable is not set.
    """
    missing = missing_names(catalog_config)
    if missing:
        listed = ", ".join(missing)
        variables = f"variable {listed} is" if len(missing) == 1 else f"variables {listed} are"
        msg = f"environment {variables} not set (referenced by catalog_config)"
        raise PipelineConfigurationError(msg)
    properties = {
        key: value
        for key, value in resolve_placeholders(dict(catalog_config)).items()
        if value is not None
    }
    config = DestinationConfig(destination="iceberg")
    for argument, names in _NAMED.items():
        values = [properties.pop(name) for name in names if name in properties]
        config[argument] = str(values[0]) if values else None
    config["catalog_name"] = config["catalog_name"] or DEFAULT_CATALOG
    config["catalog_properties"] = {
        _property_name(key): _property_value(value) for key, value in properties.items()
    }
    return config


def _property_name(key: str) -> str:
    found = _STORAGE_KEY.fullmatch(key)
    return f"{found['service']}.{found['rest'].replace('_', '-')}" if found else key


def _property_value(value: Any) -> Any:
    if isinstance(value, Mapping):  # pyiceberg's `auth` and `ssl`
        return dict(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def environment_of(catalog_config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the catalog's properties from the environment, some of which are secrets."""
    from floe_ingestion_defs.destinations import catalog_properties

    name = next((catalog_config[n] for n in _NAMED["catalog_name"] if n in catalog_config), None)
    return catalog_properties(str(name or DEFAULT_CATALOG), {})


def open_configured_catalog(config: Mapping[str, Any]) -> Catalog:
    """Open the catalog that the destination of these arguments writes to."""
    from floe_ingestion_defs.destinations import open_destination_catalog

    arguments = {name: config[name] for name in (*_NAMED, "catalog_properties")}
    return open_destination_catalog(**arguments)
