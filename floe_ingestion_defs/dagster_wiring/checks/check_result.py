"""The result of a check of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from floe_ingestion_defs.dlt_plugin.config.names import find_name

if TYPE_CHECKING:
    from pyiceberg.schema import Schema


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check of one table.

    Attributes:
        passed: Whether the table meets the check.
        summary: One sentence, which the UI shows next to the check.
        metadata: Figures and details; numbers are kept as numbers, so that the UI plots them.
        severity: Severity, where the check itself decides it; else the configured one is used.
    """

    passed: bool
    summary: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: Literal["warn", "error"] | None = None

    def as_evaluation(
        self,
        key: dg.AssetCheckKey,
        severity: Literal["warn", "error"],
        *,
        blocking: bool,
        partition: str | None = None,
    ) -> dg.AssetCheckEvaluation:
        """Return the result as Dagster's event.

        Args:
            key: Asset and name of the check.
            severity: The configured severity.
            blocking: Whether the check is blocking.
            partition: Key of the partition; None for a check that is not partitioned.
        """
        return dg.AssetCheckEvaluation(
            **self._fields(key, severity), blocking=blocking, partition=partition
        )

    def as_asset_check_result(
        self, key: dg.AssetCheckKey, severity: Literal["warn", "error"]
    ) -> dg.AssetCheckResult:
        """Return the result as Dagster records it.

        Args:
            key: Asset and name of the check.
            severity: The configured severity.
        """
        return dg.AssetCheckResult(**self._fields(key, severity))

    def _fields(self, key: dg.AssetCheckKey, severity: Literal["warn", "error"]) -> dict[str, Any]:
        return {
            "asset_key": key.asset_key,
            "check_name": key.name,
            "passed": self.passed,
            "severity": dg.AssetCheckSeverity[(self.severity or severity).upper()],
            "description": self.summary,
            "metadata": dict(self.metadata),
        }


def find_columns(
    schema: "Schema", columns: Sequence[str]
) -> tuple[tuple[str, ...], CheckResult | None]:
    """Return columns as the table spells them, and the failed result if one does not exist.

    Args:
        schema: Schema of the table.
        columns: Configured columns, in the spelling of the source or of the table.
    """
    present = [field.name for field in schema.fields]
    found = {name: find_name(name, present) for name in columns}
    absent = _missing([name for name, column in found.items() if column is None])
    return tuple(column for column in found.values() if column is not None), absent


def _missing(absent: Sequence[str]) -> CheckResult | None:
    if not absent:
        return None
    names = ", ".join(absent)
    return CheckResult(False, f"The table has no column `{names}`.", {"missing_columns": names})


def table_of(records: Sequence[Mapping[str, str]], columns: Sequence[str]) -> dg.MetadataValue[Any]:
    """Return records as a table for the UI, which has its columns even without rows."""
    return dg.MetadataValue.table(
        records=[dg.TableRecord(dict(record)) for record in records],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in columns]),
    )
