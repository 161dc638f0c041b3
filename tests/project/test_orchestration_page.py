"""`docs/dagster/orchestration.md` has every setting of the models, with its default."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from floe_ingestion_defs.dagster_wiring.observed_tables import ObservedTable
from floe_ingestion_defs.dagster_wiring.settings import checks, row_checks
from floe_ingestion_defs.dagster_wiring.settings.check import Check
from floe_ingestion_defs.dagster_wiring.settings.maintenance import (
    MaintenanceSettings,
    ResourceMaintenanceSettings,
)
from floe_ingestion_defs.dagster_wiring.settings.orchestration import (
    AssetSettings,
    OrchestrationSettings,
    ResourceSettings,
    RetrySettings,
)
from floe_ingestion_defs.dagster_wiring.settings.partitions import PartitionSettings
from floe_ingestion_defs.dagster_wiring.settings.types import format_duration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dagster" / "orchestration.md"
EVERY_CHECK = frozenset(Check.model_fields)
SECTIONS: dict[str, tuple[type[BaseModel], frozenset[str]]] = {
    "## `orchestration`": (OrchestrationSettings, frozenset(AssetSettings.model_fields)),
    "## Assets": (AssetSettings, frozenset()),
    "## Resources": (ResourceSettings, frozenset(AssetSettings.model_fields)),
    "## Retries": (RetrySettings, frozenset()),
    "## Maintenance": (MaintenanceSettings, frozenset()),
    "### Maintenance of a resource": (ResourceMaintenanceSettings, frozenset()),
    "## Partitions": (PartitionSettings, frozenset()),
    "## Checks": (checks.CheckSettings, frozenset()),
    "Every check takes:": (Check, frozenset()),
    "### freshness": (checks.FreshnessCheck, EVERY_CHECK),
    "### table_health": (checks.TableHealthCheck, EVERY_CHECK),
    "### unique_key": (checks.UniqueKeyCheck, EVERY_CHECK),
    "### not_null": (checks.NotNullCheck, EVERY_CHECK),
    "### row_count_change": (checks.RowCountChangeCheck, EVERY_CHECK),
    "### accepted_values": (row_checks.AcceptedValuesCheck, EVERY_CHECK),
    "### accepted_range": (row_checks.AcceptedRangeCheck, EVERY_CHECK),
    "### expression": (row_checks.ExpressionCheck, EVERY_CHECK),
    "### function": (row_checks.FunctionCheck, EVERY_CHECK),
    "## `observed_tables`": (ObservedTable, frozenset()),
}


def lines_below(heading: str) -> Iterator[tuple[str, str]]:
    """Yield setting and default of each line of the first table below a heading."""
    text = PAGE.read_text().split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    for line in table[0].splitlines()[2:]:
        setting, _, default, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        assert meaning
        yield setting.strip("`"), default


def literal(default: Any) -> str | None:
    """Return how a default is written in YAML; None where the page says it in words."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, timedelta):
        return format_duration(default)
    return str(default) if isinstance(default, str | int | float) else None


def agrees(shown: str, field: FieldInfo) -> bool:
    """Whether a default that is a literal is shown as it is, and any other one in words."""
    if field.is_required():
        return shown == "required"
    default = literal(field.get_default(call_default_factory=True))
    return shown == f"`{default}`" if default is not None else shown != "required"


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_is_listed_with_its_default(heading: str) -> None:
    model, elsewhere = SECTIONS[heading]
    fields = {name: field for name, field in model.model_fields.items() if name not in elsewhere}
    shown = dict(lines_below(heading))
    assert list(shown) == list(fields)
    assert {n: d for n, d in shown.items() if not agrees(d, fields[n])} == {}
