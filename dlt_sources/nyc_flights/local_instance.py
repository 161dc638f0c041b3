"""The Dagster instance on this machine, which `make demo` and `make dev` share."""

import os
from pathlib import Path

from dlt_sources.nyc_flights import settings

_INSTANCE_CONFIGURATION = """\
# Written once by the worked example; change what you like, it stays.
telemetry:
  enabled: false
# The form to sign up, which would cover the first page that is opened.
nux:
  enabled: false
"""


def prepare_local_instance() -> Path:
    """Points this process, and those that it starts, at the instance below `floe_home()`.

    A `DAGSTER_HOME` that was set before is put aside, so that the worked example never shows up
    on somebody's real instance. To be called before dagster or dlt is imported.

    Returns:
        The instance's folder, made where it was absent.
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
