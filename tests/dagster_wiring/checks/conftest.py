from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.table import Table

from floe_ingestion_defs.destinations import open_catalog

MakeTable = Callable[..., Table]


@pytest.fixture
def make_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeTable:
    """Makes the table bronze.events of the rows that are given, one snapshot for each argument."""
    monkeypatch.setenv("FLOE_HOME", str(tmp_path))

    def make(*loads: pa.Table) -> Table:
        catalog = open_catalog()
        catalog.create_namespace("bronze")
        table = catalog.create_table("bronze.events", schema=loads[0].schema)
        for rows in loads:
            table.append(rows)
        return table

    return make
