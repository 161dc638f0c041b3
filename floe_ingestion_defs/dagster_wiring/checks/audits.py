"""Blocking checks are evaluated before rows become visible: each is also an audit of the load.

If one fails, nothing of the load is published, and the run shows the check as failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import dagster as dg

from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.settings.check import Check
from floe_ingestion_defs.dlt_plugin import ResourceSpec
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import REJECTED_SUFFIX

if TYPE_CHECKING:
    from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
    from floe_ingestion_defs.destinations import Finding, StagedTable


def is_named_by_rows(staged: "StagedTable", resource: ResourceSpec) -> bool:
    """Return whether a staged table is one that rows of a resource name."""
    is_own = staged.resource == resource.name and not staged.is_nested
    return is_own and not staged.name.endswith(REJECTED_SUFFIX)


@dataclass
class BlockingChecks:
    """The blocking checks of the assets of one load, as an audit of the destination.

    Attributes:
        configured: The source, with its settings.
        resources: The assets, with the resource behind each.
        failed: Results of the checks that failed.
    """

    configured: ConfiguredSource
    resources: Mapping[dg.AssetKey, ResourceSpec]
    failed: "dict[dg.AssetCheckKey, CheckResult]" = field(default_factory=dict)

    def __call__(self, staged: "StagedTable") -> "Iterator[Finding]":
        """Yield the findings that prevent a staged table from being published."""
        from floe_ingestion_defs.dagster_wiring.checks.evaluation import evaluate_staged
        from floe_ingestion_defs.destinations import Finding

        for key, resource in self.resources.items():
            # Nested tables, those of rejected rows and the log's own tables have no checks.
            if staged.name != resource.table and not is_named_by_rows(staged, resource):
                continue
            for name, check in self._blocking(resource):
                result = evaluate_staged(check, staged, replace(resource, table=staged.name))
                if not result.passed:
                    self.failed[dg.AssetCheckKey(key, name)] = result
                    yield Finding(name, staged.name, result.summary)

    def _blocking(self, resource: ResourceSpec) -> Iterator[tuple[str, Check]]:
        checks = self.configured.settings.for_resource(resource.name).checks
        for name, check in checks.configured():
            if check.blocking and check.is_of_rows:
                yield name, check

    def describe_failed(self, partitions: Sequence[str]) -> Iterator[dg.AssetCheckEvaluation]:
        """Yield an evaluation for each failed check, and each partition that was to be loaded.

        The checks are downstream of the load, which fails, so they do not run. If the load itself
        did not yield their evaluations, they would remain planned forever.

        Args:
            partitions: Keys of the partitions of the run.
        """
        for key, result in self.failed.items():
            shown = replace(result, metadata={**result.metadata, "published": False})
            check = dict(self._blocking(self.resources[key.asset_key]))[key.name]
            for partition in partitions if check.is_per_partition and partitions else (None,):
                yield shown.as_evaluation(key, "error", blocking=True, partition=partition)
