"""State that names the factory by its former path still opens, in a process that knows no other."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import dlt

from floe_ingestion_defs.destinations import iceberg

if TYPE_CHECKING:
    from pathlib import Path

    from destinations.iceberg.conftest import Lake

FORMER_TYPE = "floe_ingestion_defs.destinations.iceberg.factory.iceberg"
TYPE = "floe_ingestion_defs.destinations.iceberg"


class FormerIceberg(iceberg):
    """The factory as it was, by what dlt stores of it."""

    @property
    def destination_type(self) -> str:
        return FORMER_TYPE


def orders() -> Any:
    """A resource with a cursor."""
    cursor = dlt.sources.incremental[int]("id")
    return dlt.resource([{"id": 1}], name="orders").add_step(cursor)


def run(*command: str) -> str:
    """Run Python in a fresh process and return what it prints."""
    done = subprocess.run([sys.executable, *command], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def load_as_before(lake: Lake) -> Path:
    """Load with the former factory, and return the folder of the working directories."""
    pipeline = lake.pipeline(destination=FormerIceberg())
    pipeline.run(orders())
    folder = lake.folder / "runs" / "0"
    assert FORMER_TYPE in (folder / "shop" / "state.json").read_text()
    return folder


def test_a_working_directory_with_the_former_type_is_attached(lake: Lake) -> None:
    """`dlt.attach` and dlt's command line get the destination from the working directory alone."""
    folder = load_as_before(lake)
    attach = f"import dlt; print(dlt.attach('shop', pipelines_dir={str(folder)!r}).destination)"
    assert run("-c", attach) == "iceberg(catalog_name='floe')\n"
    shown = run("-m", "dlt", "pipeline", "--pipelines-dir", str(folder), "shop", "info")
    assert "orders" in shown


def test_a_state_with_the_former_type_is_restored_from_the_log(lake: Lake) -> None:
    """The pipeline continues with its cursors, and stores the current type with the next load."""
    load_as_before(lake)
    folder = lake.folder / "fresh"
    restore = (
        f"import dlt; p = dlt.pipeline('shop', {str(folder)!r}, destination='iceberg')\n"
        f"p.sync_destination(dataset_name={lake.dataset!r}); print(p.state['sources'])"
    )
    assert "'last_value': 1" in run("-c", restore)
    again = (
        f"import dlt; p = dlt.attach('shop', pipelines_dir={str(folder)!r})\n"
        "p.run([{'id': 2}], table_name='others'); print(p.destination.destination_type)"
    )
    assert run("-c", again) == f"{TYPE}\n"
    assert f'"{TYPE}"' in (folder / "shop" / "state.json").read_text()
