import subprocess
import sys
from typing import Any

import pytest

DESTINATION = "floe_ingestion_defs.destinations.impl.iceberg.client"
FACE = "floe_ingestion_defs.destinations"
PLUGIN = "floe_ingestion_defs.dlt_plugin"
COMMAND = "floe_ingestion_defs.cli.main"


@pytest.mark.parametrize(
    ("imported", "left_out"),
    [
        ("floe_ingestion_defs", ["dlt", "pyiceberg", "pyarrow", "dagster", "pydantic"]),
        (FACE, ["dlt", "pyiceberg", "pyarrow", "dagster"]),
        (DESTINATION, ["dagster", "dagster_dlt", "floe_ingestion_defs.contracts"]),
        (PLUGIN, ["dagster", "dagster_dlt", "dlt", "pyiceberg", "pyarrow", "sqlalchemy"]),
        (COMMAND, ["dagster", "dagster_dlt", "dlt", "pyiceberg", "pyarrow"]),
    ],
    ids=["package", "face", "destination", "plugin", "command"],
)
def test_a_layer_imports_only_what_it_may(imported: Any, left_out: Any) -> None:
    """Each layer can be used alone, and the light ones stay light."""
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys, {imported}; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert not set(left_out) & set(shown)


def test_every_public_name_of_the_destination_can_be_imported() -> None:
    """The face names where each of its names lives; a module that moves must not break it."""
    from floe_ingestion_defs import destinations

    assert all(getattr(destinations, name) is not None for name in destinations.__all__)
    assert set(destinations.__all__) <= set(dir(destinations))


def test_dlt_finds_the_destination_by_its_name() -> None:
    """`destination="iceberg"` works wherever the distribution is installed."""
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "import dlt; print(dlt.pipeline('p', destination='iceberg').destination)",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert shown == "iceberg(catalog_name='floe')\n"
