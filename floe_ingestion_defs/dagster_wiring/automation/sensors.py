"""The sensor that reports failed runs to a webhook."""

import json
import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import dagster as dg

from floe_ingestion_defs.dagster_wiring.automation.default_status import sensor_status
from floe_ingestion_defs.dagster_wiring.configured_source import (
    CAUSE_TAG,
    SOURCE_TAG,
    ConfiguredSource,
)

WEBHOOK_VARIABLE = "FLOE_FAILURE_WEBHOOK_URL"
_WEBHOOK_TIMEOUT_SECONDS = 10
_MINUTE = timedelta(minutes=1)


def create_failure_sensor(sources: Iterable[ConfiguredSource]) -> dg.SensorDefinition:
    """Create the sensor that reports every failed run of the location to a webhook.

    The webhook's URL is in the environment, because it is a secret itself. The sensor is running
    by default if the variable is set when the location loads.

    Args:
        sources: All sources of the location, whose secrets are redacted from what is sent.
    """
    from floe_ingestion_defs.dlt_plugin.config.destination import environment_of
    from floe_ingestion_defs.dlt_plugin.errors.redaction import redactor_for

    secrets: list[Any] = []
    for configured in sources:
        catalog = configured.plugin.config.catalog_config
        secrets += [configured.source.source_config, configured.source.credentials, catalog]

    @dg.run_failure_sensor(
        name="ingestion_failures",
        default_status=sensor_status(running=bool(os.environ.get(WEBHOOK_VARIABLE))),
        description=f"Send every failed run as JSON to the webhook in {WEBHOOK_VARIABLE}.",
    )
    def notify_webhook(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        url = os.environ.get(WEBHOOK_VARIABLE)
        if not url:
            return dg.SkipReason(f"{WEBHOOK_VARIABLE} is not set.")
        text = json.dumps(describe_failed_run(context))
        redactor = redactor_for(
            *secrets, environment_of({}), {"secret": urlsplit(url).path.strip("/")}
        )
        _post(url, redactor.clean(text))
        return None

    return notify_webhook


def describe_failed_run(context: dg.RunFailureSensorContext) -> dict[str, Any]:
    """Return what an operator needs to know about a failed run.

    Args:
        context: The context of the failure sensor.
    """
    run = context.dagster_run
    steps = []
    for event in context.get_step_failure_events():
        failure = event.step_failure_data.user_failure_data
        metadata = {} if failure is None else failure.metadata
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        steps.append(
            {
                "step": event.step_key,
                "message": (failure.description if failure else None)
                or (error.message.strip() if error else ""),
                **{name: str(value.value) for name, value in metadata.items()},
            }
        )
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "source": run.tags.get(SOURCE_TAG),
        "cause": run.tags.get(CAUSE_TAG),
        "message": context.failure_event.message,
        "steps": steps,
    }


def _post(url: str, text: str) -> None:
    """Send JSON to a webhook.

    Raises:
        ValueError: The URL is not an HTTP URL.
        urllib.error.URLError: The webhook cannot be reached or rejects the request; the sensor's
            tick shows the error.
    """
    if not url.startswith(("http://", "https://")):
        msg = f"{WEBHOOK_VARIABLE} must start with https:// or http://"
        raise ValueError(msg)
    request = Request(  # noqa: S310 - the scheme is checked above
        url, text.encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urlopen(request, timeout=_WEBHOOK_TIMEOUT_SECONDS):  # noqa: S310
        pass
