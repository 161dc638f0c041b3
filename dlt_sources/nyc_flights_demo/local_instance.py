"""The local Dagster instance, which `make demo` and `make dev` share."""

import os
from pathlib import Path

from dlt_sources.nyc_flights_demo.simulated_systems import settings

_INSTANCE_CONFIGURATION = """\
# Written once by the worked example; your changes are kept.
telemetry:
  enabled: false
# The sign-up form, which would cover the first page.
nux:
  enabled: false
"""


def prepare_local_instance() -> Path:
    """Point this process and its children at the instance below `floe_home()`.

    An existing `DAGSTER_HOME` is overridden, so that the example never writes to a real instance.
    Call this before dagster or dlt is imported: both read their settings on import.

    Returns:
        The instance's folder, created if missing.
    """
    home = settings.floe_home()
    instance = home / "dagster"
    instance.mkdir(parents=True, exist_ok=True)
    configuration = instance / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_INSTANCE_CONFIGURATION, encoding="utf-8")
    os.environ["FLOE_HOME"] = str(home)
    os.environ["DAGSTER_HOME"] = str(instance)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "true"
    return instance
