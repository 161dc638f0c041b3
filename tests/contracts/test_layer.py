import json
import subprocess
import sys
from typing import Any

import pytest

LIST_MODULES = "import sys, json, {module}; print(json.dumps(list(sys.modules)))"


def modules_after_import(module: str) -> Any:
    """Return the top-level modules that a fresh interpreter holds after importing one."""
    command = [sys.executable, "-c", LIST_MODULES.format(module=module)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name.partition(".")[0] for name in json.loads(output)}


@pytest.mark.parametrize("module", ["contracts", "contracts.conformance"])
def test_importing_the_contracts_imports_nothing_of_the_layers_above(module: str) -> None:
    """A plugin for other tools needs neither dlt, Iceberg, Dagster nor pytest."""
    loaded = modules_after_import(f"floe_ingestion_defs.{module}")
    assert "pydantic" in loaded
    assert not loaded & {"dlt", "pyiceberg", "pyarrow", "dagster", "dagster_dlt"}
    assert not loaded & {"structlog", "opentelemetry", "tenacity", "pytest"}
