"""The local Dagster instance and environment, which `make demo` and `make dev` share."""

import os
import shlex
from pathlib import Path

from dlt_sources.nyc_flights_demo.simulated_systems import settings
from dlt_sources.nyc_flights_demo.simulated_systems.systems import SimulatedSystems

_INSTANCE_CONFIGURATION = """\
# Written once by the worked example; your changes are kept.
telemetry:
  enabled: false
# The sign-up form, which would cover the first page.
nux:
  enabled: false
"""

_ENVIRONMENT = """\
# Written by each `make demo` and `make dev`: `source` it before `dagster dev`, `dg dev` or
# `dg launch --assets …`.
# The assets of the weather also require its API: make weather"""


def prepare_local_instance() -> Path:
    """Point this process and its children at the instance below `floe_home()`.

    An existing `DAGSTER_HOME` is overridden, so that the example never writes to a real instance.
    Call this before dagster or dlt is imported: both read their settings on import.

    Returns:
        The instance's folder, created if missing.
    """
    home = settings.floe_home()
    instance = _instance_folder(home)
    instance.mkdir(parents=True, exist_ok=True)
    configuration = instance / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_INSTANCE_CONFIGURATION, encoding="utf-8")
    os.environ.update(_environment(home))
    return instance


def write_environment(systems: SimulatedSystems) -> Path:
    """Write the environment in which Dagster's own commands work on the demo's data.

    It is a file to `source`, below `floe_home()`. A `.env` in the project's folder would apply to
    every process that loads the code location, the tests included.

    Args:
        systems: The systems that `defs.yaml` loads from; the weather is expected on its fixed port,
            where `make weather` serves it.

    Returns:
        The file.
    """
    home = settings.floe_home()
    variables = {**_environment(home), **systems.environment(settings.WEATHER_URL)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    file = home / "environment.sh"
    file.write_text("\n".join([_ENVIRONMENT, *lines, ""]), encoding="utf-8")
    return file


def _instance_folder(home: Path) -> Path:
    return home / "dagster"


def _environment(home: Path) -> dict[str, str]:
    return {
        "FLOE_HOME": str(home),
        "DAGSTER_HOME": str(_instance_folder(home)),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DAGSTER_DISABLE_TELEMETRY": "true",
    }
