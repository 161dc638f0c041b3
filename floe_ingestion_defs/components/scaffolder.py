"""What `dg scaffold defs floe_ingestion_defs.components.IngestionComponent NAME` writes."""

import re
from typing import Any

import dagster as dg


class IngestionScaffolder(dg.Scaffolder[Any]):
    """Writes a `defs.yaml` with one source that loads, to be edited into what one needs."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file.

        Args:
            request: Where to write it; the folder's name becomes the source's.
        """
        name = re.sub(r"[^a-z0-9]+", "_", request.target_path.name.lower()).strip("_")
        source = {
            "name": name,
            "description": f"What {name} holds.",
            "source_type": "filesystem",
            "source_config": {"bucket_url": "data", "file_glob": "*.csv", "format": "csv"},
            "destination_table": f"bronze.{name}",
            "orchestration": {"cron": "15 6 * * *", "cron_timezone": "UTC"},
        }
        dg.scaffold_component(request, {"sources": [source]})
