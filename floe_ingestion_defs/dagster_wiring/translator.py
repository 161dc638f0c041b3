"""How a configured resource becomes an asset: the one place that makes an `AssetSpec`."""

from dataclasses import dataclass, field

import dagster as dg
from dagster_dlt import DagsterDltTranslator
from dagster_dlt.constants import META_KEY_TRANSLATOR
from dagster_dlt.translator import DltResourceTranslatorData

from floe_ingestion_defs.dagster_wiring.beta import used_knowingly
from floe_ingestion_defs.dagster_wiring.partitions import PARTITIONED_TAG
from floe_ingestion_defs.dagster_wiring.settings.orchestration import (
    OrchestrationSettings,
    read_settings,
)
from floe_ingestion_defs.dagster_wiring.source_code import describe_resources
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, IngestionSourceConfig, ResourceSpec

SOURCE_TAG = "floe/source"
CAUSE_TAG = "floe/cause"
STORAGE_KIND = "iceberg"
RESOURCE_METADATA = "floe/resource"

CodeReference = dg.LocalFileCodeReference | dg.UrlCodeReference


def asset_key(source_name: str, resource_name: str) -> dg.AssetKey:
    """Return the key of the asset that one resource of a source becomes: one part."""
    return dg.AssetKey(f"ingestion__{source_name}__{resource_name}")


@dataclass
class FloeDltTranslator(DagsterDltTranslator):
    """Translates one source, and carries it with its plugin to wherever the assets go.

    Subclass it and override `get_asset_spec` to change what an asset looks like:

        class OurTranslator(FloeDltTranslator):
            def get_asset_spec(self, data):
                return super().get_asset_spec(data).merge_attributes(tags={"tier": "gold"})

    Attributes:
        plugin: The plugin that loads the source.
        source: The source, as configured.
        code_references: Where people find what they would edit, such as the source's YAML.
        resources: What the plugin knows of each resource from configuration alone, by name.
        settings: The source's validated `orchestration:`.
        docstrings: What the code of a source of type `python` says of its resources, by name.
    """

    plugin: DltIngestionPlugin
    source: IngestionSourceConfig
    code_references: tuple[CodeReference, ...] = ()
    resources: dict[str, ResourceSpec] = field(init=False)
    settings: OrchestrationSettings = field(init=False)
    docstrings: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.resources = {spec.name: spec for spec in self.plugin.list_resources(self.source)}
        self.settings = read_settings(self.source, tuple(self.resources.values()))
        self.docstrings = describe_resources(self.source)

    @used_knowingly("CodeReferencesMetadataValue")
    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Describe the asset of one resource, from the configuration alone.

        `deps` are those configured: dagster-dlt's default, an external asset upstream, would keep
        `AutomationCondition.on_cron` from ever firing. Table name and storage kind are set here
        because dagster-dlt derives them from the destination's name.
        """
        resource = self.resources[data.resource.name]
        settings = self.settings.for_resource(resource.name)
        metadata: dict[str, object] = {
            "dagster/table_name": resource.table,
            "dagster/storage_kind": STORAGE_KIND,
            RESOURCE_METADATA: resource.name,
        }
        if self.code_references:
            metadata["dagster/code_references"] = dg.CodeReferencesMetadataValue(
                code_references=list(self.code_references)
            )
        freshness = settings.checks.freshness
        return dg.AssetSpec(
            key=self.asset_key(resource.name),
            description=self._describe(resource),
            group_name=settings.group_name or self.source.name,
            owners=settings.owners,
            tags={
                **settings.tags,
                SOURCE_TAG: self.source.name,
                **({PARTITIONED_TAG: "true"} if self.settings.partitions else {}),
            },
            kinds={"dlt", STORAGE_KIND, self.source.source_type},
            deps=[dg.AssetKey.from_user_string(key) for key in settings.deps],
            metadata=metadata,
            freshness_policy=freshness.policy() if freshness else None,
            automation_condition=self.settings.condition(),
        )

    def _describe(self, resource: ResourceSpec) -> str | None:
        """Return what is said of one resource, rather than of the whole source."""
        own = self.source.resources.get(resource.name)
        if own is not None and own.description:
            return own.description
        return self.docstrings.get(resource.name) or resource.description

    @property
    def loader(self) -> DltIngestionPlugin:
        """The plugin as Dagster runs it: where Dagster retries, the plugin does not as well."""
        if self.settings.retries is None:
            return self.plugin
        once = self.plugin.config.retry_config.model_copy(update={"max_retries": 0})
        return type(self.plugin)(self.plugin.config.model_copy(update={"retry_config": once}))

    def asset_key(self, resource_name: str) -> dg.AssetKey:
        """Return the key of the asset that one resource of this source becomes."""
        return asset_key(self.source.name, resource_name)


def translator_of(assets_def: dg.AssetsDefinition) -> FloeDltTranslator | None:
    """Return the translator that ingestion assets carry in their metadata; others have none."""
    for metadata in assets_def.metadata_by_key.values():
        translator = metadata.get(META_KEY_TRANSLATOR)
        return translator if isinstance(translator, FloeDltTranslator) else None
    return None


def require_translator(assets_def: dg.AssetsDefinition) -> FloeDltTranslator:
    """Return the translator of ingestion assets.

    Raises:
        dagster.DagsterInvariantViolationError: The assets are no ingestion assets.
    """
    translator = translator_of(assets_def)
    if translator is None:
        raise dg.DagsterInvariantViolationError(
            f"{sorted(key.to_user_string() for key in assets_def.keys)} were not made by "
            "create_ingestion_assets"
        )
    return translator


def resources_by_key(assets_def: dg.AssetsDefinition) -> dict[dg.AssetKey, str]:
    """Name the resource behind each asset of a source, whatever its key was changed to."""
    return {
        key: str(metadata[RESOURCE_METADATA])
        for key, metadata in assets_def.metadata_by_key.items()
    }
