"""A catalog that cannot hold a log is rejected when it is opened, and one that may not is named."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.catalog.memory import InMemoryCatalog

from floe_ingestion_defs.destinations import UnsupportedCatalog
from floe_ingestion_defs.destinations.impl.iceberg.catalog import supported

if TYPE_CHECKING:
    from pyiceberg.catalog import MetastoreCatalog


def of_module(module: str) -> Any:
    """A catalog of a class of that module: importing the real one needs its driver."""
    cls: type[MetastoreCatalog] = type("Other", (InMemoryCatalog,), {"__module__": module})
    return cls("floe", warehouse="memory://")


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


def test_a_supported_catalog_is_opened_silently(caplog: pytest.LogCaptureFixture) -> None:
    catalog = of_module("pyiceberg.catalog.sql")
    assert supported.require_supported(catalog) is catalog
    assert not caplog.records
