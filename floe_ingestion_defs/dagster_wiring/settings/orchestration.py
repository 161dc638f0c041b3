"""The `orchestration:` block of a source: all Dagster-specific settings.

The plugin passes the block on without reading it, so it is validated here, when the code location
loads.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal

import dagster as dg
from pydantic import Field, ValidationError, model_validator

from floe_ingestion_defs.dagster_wiring.settings.checks import CheckSettings
from floe_ingestion_defs.dagster_wiring.settings.default_freshness import default_freshness
from floe_ingestion_defs.dagster_wiring.settings.maintenance import (
    MaintenanceSettings,
    ResourceMaintenanceSettings,
)
from floe_ingestion_defs.dagster_wiring.settings.partitions import (
    PartitionSettings,
    require_windows,
)
from floe_ingestion_defs.dagster_wiring.settings.types import (
    AssetKeyText,
    Cron,
    Duration,
    Group,
    OneOrMore,
    Owner,
    Settings,
    TimeZone,
)
from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig, ResourceSpec
from floe_ingestion_defs.dlt_plugin.config.messages import explain
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError


class AssetSettings(Settings):
    """Asset settings, of a source for all of its resources or of one resource."""

    group_name: Group | None = Field(
        default=None, description="Asset group in the UI. Default: the source's name."
    )
    owners: OneOrMore[Owner] = Field(
        default=(),
        description="Owners of the assets: e-mail addresses, or teams such as 'team:data'.",
    )
    tags: dict[str, str] = Field(
        default_factory=dict, description="Tags of the assets, for filtering and selection."
    )
    deps: OneOrMore[AssetKeyText] = Field(
        default=(),
        description="Keys of upstream assets, with parts separated by '/'. Default: none.",
    )
    upstream: bool | AssetKeyText = Field(
        default=True,
        description="External asset that represents the table, endpoint or folder in the source "
        "system: its key, or false for none. Default: 'source__{source}__{resource}'.",
    )
    checks: CheckSettings = Field(
        default=CheckSettings(), description="Asset checks, which run after every load."
    )
    preview_rows: int = Field(
        default=0,
        ge=0,
        le=100,
        description="Number of rows of the table to show with every load; requires the source's "
        "`show_values`. Default: none, because rows may be personal data, and Dagster stores what "
        "it shows.",
    )


class ResourceSettings(AssetSettings):
    """Settings of one resource."""

    maintenance: ResourceMaintenanceSettings | None = Field(
        default=None,
        description="What is different for the table of the resource where its dataset is "
        "maintained.",
    )


class RetrySettings(Settings):
    """How Dagster retries the step of a load."""

    max_retries: int = Field(
        default=3, ge=1, le=20, description="Maximum number of retries after the first attempt."
    )
    delay_seconds: float = Field(
        default=60.0,
        ge=0,
        description="Seconds between two attempts; the step waits within its run.",
    )


class OrchestrationSettings(AssetSettings):
    """How Dagster runs one source and shows its assets."""

    cron: Cron | None = Field(
        default=None,
        description="When to load the source, as a cron expression. Default: no schedule.",
    )
    cron_timezone: TimeZone = Field(default="UTC", description="IANA time zone of `cron`.")
    default_status: Literal["stopped", "running"] = Field(
        default="stopped",
        description="Whether the source's schedule and sensor are running as soon as the location "
        "is deployed.",
    )
    automation_condition: Literal["eager", "on_cron", "on_missing"] | None = Field(
        default=None,
        description="Automation condition that loads the assets, instead of a schedule: eager "
        "when upstream assets are updated, on_cron at `cron` once upstream assets are up to date, "
        "on_missing until the assets have been loaded once.",
    )
    new_files_every: Duration | None = Field(
        default=None,
        description="How often a sensor looks for new files and loads them, such as '1m'; for "
        "filesystem sources. Default: no sensor.",
    )
    new_files_retries: int = Field(
        default=5,
        ge=0,
        le=20,
        description="How often that sensor requests a failed run again while the files do not "
        "change: after 5 minutes, then after twice as long each time, up to an hour.",
    )
    partitions: PartitionSettings | None = Field(
        default=None,
        description="Partitions by the cursor, each of which can be reloaded on its own. "
        "Default: none.",
    )
    maintenance: MaintenanceSettings | None = Field(
        default=None,
        description="Maintenance of all tables of the dataset that the source loads into. Default: "
        "none.",
    )
    retries: RetrySettings | None = Field(
        default=None,
        description="Retries of the whole step by Dagster after a transient failure, instead of "
        "the plugin's own retries.",
    )
    pool: str | None = Field(
        default=None,
        min_length=1,
        description="Concurrency pool in which each load of the source occupies a slot; several "
        "sources may share one. Default: a pool per source, 'ingestion__{name}'. A pool limits "
        "nothing until a limit is set for it in the Dagster instance.",
    )
    op_tags: dict[str, Any] = Field(
        default_factory=dict,
        description="Tags of the op, for executors that read them.",
    )
    run_tags: dict[str, Any] = Field(
        default_factory=dict,
        description="Tags of the source's runs, such as the resources of a run's pod "
        "('dagster-k8s/config') or 'dagster/priority'.",
    )
    resources: dict[str, ResourceSettings] = Field(
        default_factory=dict,
        description="Settings of individual resources, by resource name; they override the "
        "source's.",
    )

    @model_validator(mode="after")
    def _require_something_to_run(self) -> "OrchestrationSettings":
        if self.default_status == "running" and self.cron is None and self.new_files_every is None:
            msg = (
                "default_status is 'running', but there is no schedule or sensor to run; set cron "
                "or new_files_every"
            )
            raise ValueError(msg)
        if self.partitions and self.partitions.kind == "static" and self.cron:
            msg = (
                "cron cannot be combined with static partitions: a schedule loads the last "
                "partition, and static partitions have none"
            )
            raise ValueError(msg)
        if self.automation_condition == "on_cron" and self.cron is None:
            msg = "automation_condition 'on_cron' requires a cron"
            raise ValueError(msg)
        return self

    @property
    def has_schedule(self) -> bool:
        """Whether `cron` is used by a schedule, and not by an automation condition."""
        return self.cron is not None and self.automation_condition != "on_cron"

    def condition(self, upstream: dg.AssetKey | None) -> dg.AutomationCondition[Any] | None:
        """Return the condition under which Dagster loads the assets automatically.

        Args:
            upstream: External asset in the source system, which is not waited for: it may never be
                materialized. If its materialization is reported, `eager` loads the asset.
        """
        external = dg.AssetSelection.assets(*([upstream] if upstream else []))
        if self.automation_condition == "eager":
            missing = dg.AutomationCondition.any_deps_missing()
            return dg.AutomationCondition.eager().replace(missing, missing.ignore(external))
        if self.automation_condition == "on_missing":
            return _never_loaded(external)
        if self.automation_condition == "on_cron" and self.cron is not None:
            return dg.AutomationCondition.on_cron(self.cron, self.cron_timezone).ignore(external)
        return None

    def for_resource(self, name: str) -> AssetSettings:
        """Return the settings of one resource: the source's, overridden by the resource's own.

        Tags and checks are merged; everything else that a resource sets replaces the source's
        value. Freshness that neither configures follows from how often the source is loaded.
        """
        settings = self._overridden_by(self.resources.get(name))
        if "freshness" in settings.checks.model_fields_set:
            return settings
        freshness = default_freshness(
            cron=self.cron,
            cron_timezone=self.cron_timezone,
            partitions=self.partitions,
            new_files_every=self.new_files_every,
        )
        checks = settings.checks.model_copy(update={"freshness": freshness})
        return settings.model_copy(update={"checks": checks})

    def _overridden_by(self, own: AssetSettings | None) -> AssetSettings:
        if own is None:
            return self
        values = {field: getattr(self, field) for field in AssetSettings.model_fields}
        given = own.model_fields_set & set(values)
        values.update({field: getattr(own, field) for field in given})
        values["tags"] = {**self.tags, **own.tags}
        values["checks"] = self.checks.overridden_by(own.checks)
        return AssetSettings.model_construct(**values)


def _never_loaded(ignored: dg.AssetSelection) -> dg.AutomationCondition[Any]:
    """Return the condition that is true until an asset, or a partition of it, is first loaded.

    Dagster's own `on_missing` requests only partitions that are added after it was deployed, so a
    new source would never be loaded. A load that failed is not requested again: a user must act.
    """
    condition = dg.AutomationCondition
    return (
        condition.missing()
        & ~condition.in_progress()
        & ~condition.execution_failed()
        & ~condition.any_deps_missing().ignore(ignored)
    ).with_label("never_loaded")


class _SourceBlock(Settings):
    """Wraps the settings so that errors name the field by its full path."""

    orchestration: OrchestrationSettings


def read_settings(
    source: IngestionSourceConfig, resources: Sequence[ResourceSpec]
) -> OrchestrationSettings:
    """Validate the `orchestration:` block of a source.

    Args:
        source: The source as the plugin knows it.
        resources: Its resources, which `resources:` may refer to.

    Raises:
        PipelineConfigurationError: A setting is not valid; names the source, the field, the value
            and the fix.
    """
    try:
        block = _SourceBlock.model_validate({"orchestration": source.orchestration})
    except ValidationError as error:
        msg = f"source {source.name!r}: {explain(error, _SourceBlock)}"
        raise PipelineConfigurationError(msg, source_name=source.name) from error
    if block.orchestration.partitions is not None:
        require_windows(source, resources)
    resource_names = [resource.name for resource in resources]
    for name in block.orchestration.resources:
        if name not in resource_names:
            close = get_close_matches(name, resource_names, n=1)
            available = f"available: {', '.join(resource_names)}"
            fix = f"did you mean {close[0]!r}?" if close else available
            msg = (
                f"source {source.name!r}: orchestration.resources.{name} refers to a resource that "
                f"does not exist; {fix}"
            )
            raise PipelineConfigurationError(
                msg,
                source_name=source.name,
            )
    for resource in resources:
        rows = block.orchestration.for_resource(resource.name).preview_rows
        if rows and not resource.show_values:
            msg = (
                f"source {source.name!r}: preview_rows of resource {resource.name!r} is {rows}, "
                "but its values must not be shown; set show_values: true on the source or in its "
                "resources, outside orchestration, or remove preview_rows"
            )
            raise PipelineConfigurationError(
                msg,
                source_name=source.name,
            )
    return block.orchestration
