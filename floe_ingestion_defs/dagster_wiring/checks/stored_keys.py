"""Completes resources with the primary key that a load reflected from the database."""

from collections.abc import Mapping
from dataclasses import replace

import dagster as dg

from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dlt_plugin import ResourceSpec
from floe_ingestion_defs.dlt_plugin.config.destination import open_configured_catalog

_OF_KEYS = ("unique_key", "not_null")


def with_stored_keys(
    configured: ConfiguredSource, resources: Mapping[dg.AssetCheckKey, ResourceSpec]
) -> dict[dg.AssetCheckKey, ResourceSpec]:
    """Return the resources of checks, those of a database with the key of their last load.

    The catalog is read only if a check needs such a key.

    Args:
        configured: The source.
        resources: The resource of each check.
    """
    from floe_ingestion_defs.destinations import Dataset, stored_primary_keys

    unknown = {
        key
        for key, resource in resources.items()
        if resource.key_of_source and key.name in _OF_KEYS
    }
    if not unknown:
        return dict(resources)
    plugin = configured.plugin
    catalog = open_configured_catalog(plugin.get_destination_config(plugin.config.catalog_config))
    namespace = next(iter(configured.resources.values())).namespace
    keys = stored_primary_keys(Dataset(catalog, namespace), configured.name)
    return {
        key: replace(resource, primary_key=keys.get(resource.table_name, ()))
        if key in unknown
        else resource
        for key, resource in resources.items()
    }
