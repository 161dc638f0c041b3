"""Analysts who use the loaded tables: `silver.delays`, derived from the flights with pyiceberg.

Neither Dagster nor dlt is involved. Dagster observes the table, as it does with every table that
another writer maintains.
"""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import AlwaysTrue

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

_FLIGHTS = "bronze.flights"
_DELAYS = "silver.delays"
_SCHEMA = pa.schema(
    [
        ("month", pa.int64()),
        ("origin", pa.string()),
        ("flights", pa.int64()),
        ("late", pa.float64()),
    ]
)
_LATE_MINUTES = 15


class NothingLoadedError(RuntimeError):
    """No flights have been loaded yet; the message says how to load them."""


def write_delays(catalog: "Catalog") -> int:
    """Write the monthly share of flights per airport that departed late.

    Args:
        catalog: The catalog with the flights.

    Returns:
        The number of rows of the table.

    Raises:
        NothingLoadedError: No flight has been loaded yet.
    """
    if not catalog.table_exists(_FLIGHTS):
        msg = f"{_FLIGHTS} has not been loaded yet: run `make demo`, or materialize the flights"
        raise NothingLoadedError(msg)
    columns = ("month", "origin", "dep_delay")
    flights = catalog.load_table(_FLIGHTS).scan(selected_fields=columns).to_arrow()
    # A cancelled flight has no departure delay, and counts as late.
    late = pc.fill_null(pc.greater(flights["dep_delay"], _LATE_MINUTES), fill_value=True)
    flights = flights.append_column("late", late.cast(pa.float64()))
    counted = flights.group_by(["month", "origin"]).aggregate([([], "count_all"), ("late", "mean")])
    rows = counted.rename_columns({"count_all": "flights", "late_mean": "late"}).sort_by(
        [("month", "ascending"), ("origin", "ascending")]
    )
    catalog.create_namespace_if_not_exists("silver")
    table = catalog.create_table_if_not_exists(_DELAYS, schema=_SCHEMA)
    with table.transaction() as transaction:
        if table.current_snapshot() is not None:
            transaction.delete(AlwaysTrue())
        transaction.append(rows.select(_SCHEMA.names).cast(_SCHEMA))
    return int(rows.num_rows)
