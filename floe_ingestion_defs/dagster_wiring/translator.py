"""Translates a configured resource into an asset: only this module creates its `AssetSpec`."""

from dataclasses import dataclass, field

import dagster as dg
from dagster_dlt import DagsterDltTranslator
from dagster_dlt.translator import DltResourceTranslatorData

from floe_ingestion_defs.dagster_wiring.beta_warnings import allow_beta
from floe_ingestion_defs.dagster_wiring.configured_source import SOURCE_TAG, ConfiguredSource
from floe_ingestion_defs.dagster_wiring.python_code import describe_resources
from floe_ingestion_defs.dagster_wiring.settings.partitions import PARTITIONED_TAG
from floe_ingestion_defs.dagster_wiring.upstream import upstream_key
from floe_ingestion_defs.dlt_plugin import ResourceSpec

STORAGE_KIND = "iceberg"
RESOURCE_METADATA = "floe/resource"


class LoadedResource(str):
    """The name of a resource, in the metadata of its asset, which carries the resource's source.

    Dagster serializes it as a string, and keeps the object in the process.
    """

    configured: ConfiguredSource

    @classmethod
    def of(cls, name: str, configured: ConfiguredSource) -> "LoadedResource":
        """Return the name of a resource of a source."""
        resource = cls(name)
        resource.configured = configured
        return resource


def asset_key(source_name: str, resource_name: str) -> dg.AssetKey:
    """Return the key, with a single part, of the asset of one resource of a source."""
    return dg.AssetKey(f"ingestion__{source_name}__{resource_name}")


@dataclass
class FloeDltTranslator(DagsterDltTranslator):
    """Translates the resources of one source.

    Subclass it and override `get_asset_spec` to change how an asset looks:

        class OurTranslator(FloeDltTranslator):
            def get_asset_spec(self, data):
                return super().get_asset_spec(data).merge_attributes(tags={"tier": "gold"})

    Attributes:
        configured: The source, with its plugin and its settings.
        docstrings: Docstrings of the resources of a source of type `python`, by name.
    """

    configured: ConfiguredSource
    docstrings: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.docstrings = describe_resources(self.configured.source)

    @allow_beta("CodeReferencesMetadataValue")
    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Return the spec of the asset of one resource, from the configuration alone.

        `deps` are the configured ones and the external asset in the source system. Table name and
        storage kind are set here because dagster-dlt derives them from the destination's name.
        """
        source, orchestration = self.configured.source, self.configured.settings
        resource = self.configured.resources[data.resource.name]
        settings = orchestration.for_resource(resource.name)
        metadata: dict[str, object] = {
            "dagster/table_name": resource.table,
            "dagster/storage_kind": STORAGE_KIND,
            RESOURCE_METADATA: LoadedResource.of(resource.name, self.configured),
        }
        if self.configured.code_references:
            metadata["dagster/code_references"] = dg.CodeReferencesMetadataValue(
                code_references=list(self.configured.code_references)
            )
        freshness = settings.checks.freshness
        upstream = upstream_key(self.configured, resource.name)
        deps = [dg.AssetKey.from_user_string(key) for key in settings.deps]
        return dg.AssetSpec(
            key=self.asset_key(resource.name),
            description=self._describe(resource),
            group_name=settings.group_name or source.name,
            owners=settings.owners,
            tags={
                **settings.tags,
                SOURCE_TAG: source.name,
                **({PARTITIONED_TAG: "true"} if orchestration.partitions else {}),
            },
            kinds={"dlt", STORAGE_KIND, source.source_type},
            deps=deps if upstream is None or upstream in deps else [*deps, upstream],
            metadata=metadata,
            freshness_policy=freshness.policy() if freshness else None,
            automation_condition=orchestration.condition(upstream),
        )

    def _describe(self, resource: ResourceSpec) -> str | None:
        """Return the description of one resource, else that of the whole source."""
        own = self.configured.source.resources.get(resource.name)
        if own is not None and own.description:
            return own.description
        return self.docstrings.get(resource.name) or resource.description

    def asset_key(self, resource_name: str) -> dg.AssetKey:
        """Return the key of the asset of one resource of this source."""
        return asset_key(self.configured.name, resource_name)


def configured_source_of(assets_def: dg.AssetsDefinition) -> ConfiguredSource | None:
    """Return the source that ingestion assets load; None for other assets."""
    for metadata in assets_def.metadata_by_key.values():
        resource = metadata.get(RESOURCE_METADATA)
        return resource.configured if isinstance(resource, LoadedResource) else None
    return None


def require_configured_source(assets_def: dg.AssetsDefinition) -> ConfiguredSource:
    """Return the source that ingestion assets load.

    Raises:
        dagster.DagsterInvariantViolationError: The assets are not ingestion assets.
    """
    configured = configured_source_of(assets_def)
    if configured is None:
        msg = (
            f"{sorted(key.to_user_string() for key in assets_def.keys)} were not created by "
            "create_ingestion_assets"
        )
        raise dg.DagsterInvariantViolationError(msg)
    return configured


def resources_by_key(assets_def: dg.AssetsDefinition) -> dict[dg.AssetKey, str]:
    """Return the resource of each asset of a source, even if a subclass changed its key."""
    return {
        key: str(metadata[RESOURCE_METADATA])
        for key, metadata in assets_def.metadata_by_key.items()
    }
