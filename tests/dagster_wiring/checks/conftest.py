from collections.abc import Callable

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

MakeTable = Callable[..., Table]


@pytest.fixture
def make_table(floe_catalog: Catalog) -> MakeTable:
    """Makes the table bronze.events of the rows that are given, one snapshot for each argument."""

    def make(*loads: pa.Table) -> Table:
        floe_catalog.create_namespace("bronze")
        table = floe_catalog.create_table("bronze.events", schema=loads[0].schema)
        for rows in loads:
            table.append(rows)
        return table

    return make
