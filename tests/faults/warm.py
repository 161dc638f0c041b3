"""What the fork server imports once, so that a child process starts within milliseconds.

One load is run as well: dlt, pyiceberg and pyarrow import a good part of themselves, and compile
their schemas, with the first one.
"""

import os
import tempfile

import dlt
import pyiceberg.catalog.rest
import pyiceberg.catalog.sql
import pyiceberg.io.pyarrow  # noqa: F401

import floe_ingestion_defs.destinations.impl.iceberg.client
import floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans
import floe_ingestion_defs.destinations.impl.iceberg.maintenance.release  # noqa: F401

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
with tempfile.TemporaryDirectory(prefix="floe-warm-") as folder:
    os.environ["FLOE_HOME"] = folder
    pipeline = dlt.pipeline(
        "warm", destination="iceberg", dataset_name="warm", pipelines_dir=folder
    )
    pipeline.run([{"id": 1, "tags": ["a"]}], table_name="rows", primary_key="id")
    pipeline.deactivate()
    del os.environ["FLOE_HOME"]
