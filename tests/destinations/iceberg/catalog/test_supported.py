"""A catalog that cannot hold a log is rejected when it is opened, and one that may not is named."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.catalog import CatalogType
from pyiceberg.catalog.memory import InMemoryCatalog

from floe_ingestion_defs.destinations import UnsupportedCatalog
from floe_ingestion_defs.destinations.impl.iceberg.catalog import supported

if TYPE_CHECKING:
    from pyiceberg.catalog import MetastoreCatalog


def of_module(module: str, name: str = "floe") -> Any:
    """A catalog of a class of that module: importing the real one needs its driver."""
    cls: type[MetastoreCatalog] = type("Other", (InMemoryCatalog,), {"__module__": module})
    return cls(name, warehouse="memory://")


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("pyiceberg.catalog.dynamodb", "DynamoDB"),
        ("pyiceberg.catalog.bigquery_metastore", "BigQuery"),
    ],
)
def test_a_catalog_without_commits_is_rejected_with_the_reason(module: str, kind: str) -> None:
    with pytest.raises(UnsupportedCatalog, match=f"{kind}.*commit_table"):
        supported.require_supported(of_module(module))


def test_hive_causes_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    catalog = of_module("pyiceberg.catalog.hive")
    with caplog.at_level(logging.WARNING):
        assert supported.require_supported(catalog) is catalog
        supported.require_supported(catalog)
    (record,) = caplog.records
    assert "not conditional" in record.getMessage()


def what_holds(module: str, caplog: pytest.LogCaptureFixture) -> str:
    """What happens when a catalog of a class of that module is opened, in the page's words."""
    caplog.clear()
    try:
        supported.require_supported(of_module(module, name=module))
    except UnsupportedCatalog:
        return "rejected"
    return "warning" if caplog.records else "hold"


@pytest.mark.parametrize("kind", CatalogType)
def test_the_page_says_of_each_catalog_of_pyiceberg_what_holds(
    kind: CatalogType, caplog: pytest.LogCaptureFixture
) -> None:
    page = (Path(__file__).parents[4] / "docs" / "guarantees.md").read_text()
    kinds = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| ")]
    names = {"sql": "SQL (", "in-memory": "`in-memory`"}
    (row,) = (row for row in kinds if names.get(kind.value, kind.value).lower() in row[0].lower())
    module = {"bigquery": "bigquery_metastore", "in-memory": "memory"}.get(kind.value, kind.value)
    assert what_holds(f"pyiceberg.catalog.{module}", caplog) in row[2]


def test_a_supported_catalog_is_opened_silently(caplog: pytest.LogCaptureFixture) -> None:
    catalog = of_module("pyiceberg.catalog.sql")
    assert supported.require_supported(catalog) is catalog
    assert not caplog.records
