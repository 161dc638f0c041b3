"""What a catalog needs that is not installed is named, with the extra that brings it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import DestinationWriteError, DltIngestionPlugin, ErrorCategory

FSSPEC = "pyiceberg.io.fsspec.FsspecFileIO"


@pytest.mark.parametrize(
    ("absent", "catalog", "command"),
    [
        (
            "psycopg2",
            {"type": "sql", "uri": "postgresql+psycopg2://dev@127.0.0.1:1/lake"},
            "pip install 'floe-ingestion-defs[sql-postgres]'",
        ),
        (
            "s3fs",
            {"warehouse": "s3://lake/warehouse", "py-io-impl": FSSPEC},
            "pip install 'floe-ingestion-defs[s3fs]'",
        ),
    ],
)
def test_the_error_names_the_extra(
    shop: dict[str, Any],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    absent: str,
    catalog: dict[str, str],
    command: str,
) -> None:
    """Not pyiceberg's own, which names another."""
    monkeypatch.setitem(sys.modules, absent, None)
    plugin = DltIngestionPlugin({"sources": [shop], "catalog_config": catalog})
    with pytest.raises(DestinationWriteError) as failed:
        plugin.load(plugin.create_pipeline(plugin.source("shop")))
    assert command in str(failed.value)
    assert failed.value.category is ErrorCategory.CONFIGURATION
