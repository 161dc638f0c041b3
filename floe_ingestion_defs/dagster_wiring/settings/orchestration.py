"""What a source's `orchestration:` may say: everything that concerns Dagster and not the load.

The plugin passes the block on unread, so it is validated here, when the code location loads.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal

import dagster as dg
from pydantic import Field, ValidationError, model_validator

from floe_ingestion_defs.dagster_wiring.settings.checks import CheckSettings
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
    """How an asset shows in Dagster; on a source for all of its resources, or on one resource."""

    group_name: Group | None = Field(
        default=None, description="Asset group in the UI. Default: the source's name."
    )
    owners: OneOrMore[Owner] = Field(
        default=(),
        description="Who answers for the data: e-mail addresses, or teams as 'team:data'.",
    )
    tags: dict[str, str] = Field(
        default_factory=dict, description="Tags of the assets, for filtering and selection."
    )
    deps: OneOrMore[AssetKeyText] = Field(
        default=(),
        description="Keys of the assets upstream, parts separated by '/'. Default: none.",
    )
    checks: CheckSettings = Field(
        default=CheckSettings(), description="Checks of the assets, after every load."
    )
    preview_rows: int = Field(
        default=0,
        ge=0,
        le=100,
        description="Rows of the table to show with every load, where `show_values` of the source "
        "allows it. Default: none, for rows may be personal, and Dagster keeps what it shows.",
    )


class RetrySettings(Settings):
    """How Dagster runs the step of a load again."""

    max_retries: int = Field(
        default=3, ge=1, le=20, description="Further tries after the first one."
    )
    delay_seconds: float = Field(
        default=60.0, ge=0, description="Seconds between two tries; the step waits in its run."
    )


class OrchestrationSettings(AssetSettings):
    """How Dagster runs one source and shows its assets."""

    cron: Cron | None = Field(
        default=None,
        description="When the source is loaded, as a cron expression. Default: no schedule.",
    )
    cron_timezone: TimeZone = Field(
        default="UTC", description="IANA time zone in which `cron` is read."
    )
    default_status: Literal["stopped", "running"] = Field(
        default="stopped",
        description="Whether schedule and sensor run as soon as the location is deployed.",
    )
    automation_condition: Literal["eager", "on_cron", "on_missing"] | None = Field(
        default=None,
        description="Let Dagster's automation load the assets instead of a schedule: when assets "
        "upstream changed, at `cron` once those are up to date, or while they were never loaded.",
    )
    new_files_every: Duration | None = Field(
        default=None,
        description="How often a sensor looks for new files and loads them, such as '1m'; for "
        "filesystem sources. Default: no sensor.",
    )
    partitions: PartitionSettings | None = Field(
        default=None,
        description="Partitions by the cursor, each of which can be loaded again by itself. "
        "Default: none.",
    )
    retries: RetrySettings | None = Field(
        default=None,
        description="Retries of the whole step by Dagster where a load failed for a passing "
        "reason, instead of the plugin's own.",
    )
    pool: str | None = Field(
        default=None,
        min_length=1,
        description="Concurrency pool that the source's loads take a slot of; several sources "
        "may share one. Default: the source's own, 'ingestion__{name}'. A pool limits nothing "
        "until the Dagster instance sets its limit.",
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
    resources: dict[str, AssetSettings] = Field(
        default_factory=dict,
        description="Settings of single resources, by resource name; they win over the source's.",
    )

    @model_validator(mode="after")
    def _require_something_to_run(self) -> "OrchestrationSettings":
        if self.default_status == "running" and self.cron is None and self.new_files_every is None:
            msg = (
                "default_status 'running' starts what loads the source by itself, so it needs a "
                "cron or new_files_every"
            )
            raise ValueError(msg)
        if self.partitions and self.partitions.kind == "static" and self.cron:
            msg = "a cron loads the last partition, and static ones have no last one"
            raise ValueError(msg)
        if self.automation_condition == "on_cron" and self.cron is None:
            msg = "automation_condition 'on_cron' needs a cron"
            raise ValueError(msg)
        return self

    @property
    def has_schedule(self) -> bool:
        """Whether the cron is a schedule's, and not an automation condition's."""
        return self.cron is not None and self.automation_condition != "on_cron"

    def condition(self) -> dg.AutomationCondition[Any] | None:
        """Return the condition under which Dagster loads the assets by itself."""
        if self.automation_condition == "eager":
            return dg.AutomationCondition.eager()
        if self.automation_condition == "on_missing":
            return _never_loaded()
        if self.automation_condition == "on_cron" and self.cron is not None:
            return dg.AutomationCondition.on_cron(self.cron, self.cron_timezone)
        return None

    def for_resource(self, name: str) -> AssetSettings:
        """Return what holds for one resource: the source's settings under its own.

        Tags and checks are merged; everything else that a resource sets replaces the source's
        value.
        """
        own = self.resources.get(name)
        if own is None:
            return self
        values = {field: getattr(self, field) for field in AssetSettings.model_fields}
        values.update({field: getattr(own, field) for field in own.model_fields_set})
        values["tags"] = {**self.tags, **own.tags}
        values["checks"] = self.checks.overridden_by(own.checks)
        return AssetSettings.model_construct(**values)


def _never_loaded() -> dg.AutomationCondition[Any]:
    """Return the condition that holds while an asset, or a partition of it, was never loaded.

    Dagster's own `on_missing` asks only for partitions that are added after it was deployed, so a
    new source would wait for ever. A load that failed waits for a person.
    """
    condition = dg.AutomationCondition
    return (
        condition.missing()
        & ~condition.in_progress()
        & ~condition.execution_failed()
        & ~condition.any_deps_missing()
    ).with_label("never_loaded")


class _SourceBlock(Settings):
    """Stands around the settings so that errors name the field by its whole path."""

    orchestration: OrchestrationSettings


def read_settings(
    source: IngestionSourceConfig, resources: Sequence[ResourceSpec]
) -> OrchestrationSettings:
    """Validate the `orchestration:` block of a source.

    Args:
        source: The source as the plugin knows it.
        resources: Its resources, which `resources:` may refer to.

    Raises:
        PipelineConfigurationError: Names the source, the field, the value and what would be right.
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
            right = f"did you mean {close[0]}?" if close else f"it has {', '.join(resource_names)}"
            msg = (
                f"source {source.name!r}: orchestration.resources.{name} is about a resource that "
                f"the source does not have; {right}"
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
                "and its values may not be shown; set show_values: true on the source or in its "
                "resources, outside of orchestration, or leave preview_rows out"
            )
            raise PipelineConfigurationError(
                msg,
                source_name=source.name,
            )
    return block.orchestration
