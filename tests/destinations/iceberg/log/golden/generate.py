"""Write the golden rows of the log's present format.

Run once for each new format, from the folder `tests`, and keep the files of the older ones:

    python -m destinations.iceberg.log.golden.generate

Each kind's rows are those that real loads commit and do not publish. The rows of a format are a
JSON file per kind in `rows/{format}`, and the staged files that they name are beside it; what
depends on the machine is written as `{warehouse}`.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import dlt
from destinations.iceberg.log.golden.kinds import KINDS

from floe_ingestion_defs.destinations import iceberg
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg.branch import clone
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.log.format import FORMAT_VERSION
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import release

ROWS = Path(__file__).parent / "rows"
DATASET = "lake"


def committed_rows(kind: str, folder: Path) -> list[dict[str, Any]]:
    """Run the loads of a kind, of which the last is not published, and return the log's rows."""
    make_runs, _ = KINDS[kind]
    runs = make_runs()
    publish_own = load_step.publish_own
    for number, run in enumerate(runs):
        if number == len(runs) - 1:
            load_step.publish_own = lambda *_: None
        try:
            dlt.pipeline(
                "golden",
                destination=iceberg(),
                dataset_name=DATASET,
                pipelines_dir=str(folder / str(number)),
            ).run(**run)
        finally:
            load_step.publish_own = publish_own
    dataset = Dataset(open_catalog(), DATASET)
    view = dataset.log.read()
    assert view is not None
    if kind == "release":
        (load,) = view.unsettled()
        (intent,) = (table for table in load.intent.tables if table.table == "users")
        release.commit_release(dataset, view, load, intent)
    rows = dataset.catalog.load_table(dataset.log.identifier).scan().to_arrow().sort_by("seq")
    if kind == "branch":
        rows = clone.rows_for_branch(rows, "branch_of_lake")
    # Nothing is settled for the process that reads them.
    return [{**row, "settled_seq": 0} for row in rows.to_pylist()]


def generate(kind: str, folder: Path) -> None:
    """Write the golden rows of a kind."""
    os.environ["FLOE_HOME"] = str(folder / "floe")
    rows = committed_rows(kind, folder)
    warehouse = str(folder / "floe" / "warehouse")
    encoded = json.dumps(rows, default=lambda timestamp: timestamp.isoformat(), indent=1)
    intents = [json.loads(row["intent"]) for row in rows]
    files = {
        file["path"] for intent in intents for table in intent["tables"] for file in table["files"]
    }
    golden = {
        "rows": json.loads(encoded.replace(warehouse, "{warehouse}")),
        "files": {
            path.replace(warehouse, "{warehouse}"): base64.b64encode(
                Path(path.removeprefix("file://")).read_bytes()
            ).decode()
            for path in sorted(files)
        },
    }
    target = ROWS / str(FORMAT_VERSION) / f"{kind}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(golden, indent=1) + "\n")


def main() -> None:
    """Write the golden rows of every kind."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["PYICEBERG_HOME"] = os.environ["DLT_DATA_DIR"] = folder
            generate(kind, Path(folder))


if __name__ == "__main__":
    main()
