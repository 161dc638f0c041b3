"""Implements `dg scaffold defs floe_ingestion_defs.components.IngestionComponent NAME`."""

import re
from typing import Any

import dagster as dg


class IngestionScaffolder(dg.Scaffolder[Any]):
    """Writes a `defs.yaml` with one working source, as a starting point."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file.

        Args:
            request: Where to write it; the source gets the name of the folder.
        """
        name = re.sub(r"[^a-z0-9]+", "_", request.target_path.name.lower()).strip("_")
        source = {
            "name": name,
            "description": f"Data of {name}.",
            "source_type": "filesystem",
            "source_config": {"bucket_url": "data", "file_glob": "*.csv", "format": "csv"},
            "destination_table": f"bronze.{name}",
            "orchestration": {
                "cron": "15 6 * * *",
                "cron_timezone": "UTC",
                "maintenance": {"schedule": "0 3 * * *"},
            },
        }
        dg.scaffold_component(request, {"sources": [source]})
