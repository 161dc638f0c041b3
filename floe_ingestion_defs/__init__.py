"""A Dagster code location that loads data into Apache Iceberg with dlt.

Imports nothing heavy: dlt loads this package at its own start to find the destination `iceberg`
below `destinations`, and each layer must be importable without those above it.
"""

import sys

from floe_ingestion_defs import destinations

# Pipelines that were created before `destinations.impl` existed have this module in their state as
# the place of the factory `iceberg`, and dlt imports it to open them. A real module of that name
# would hide the factory, since importing it sets the attribute `iceberg` of `destinations`.
sys.modules[f"{destinations.__name__}.iceberg.factory"] = destinations
