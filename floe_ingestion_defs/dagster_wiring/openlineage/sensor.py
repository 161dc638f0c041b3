"""The sensor that sends the lineage of ingestion runs to an OpenLineage server.

It follows the changes of runs in the event log. Its cursor moves only past events that the server
has accepted, so an event is sent at least once.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import chain

import dagster as dg

from floe_ingestion_defs.dagster_wiring.automation.default_status import sensor_status
from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.translator import (
    configured_source_of,
    resources_by_key,
)
from floe_ingestion_defs.dagster_wiring.upstream import upstream_key

NAME = "ingestion_openlineage"
URL_VARIABLE = "OPENLINEAGE_URL"
NAMESPACE_VARIABLE = "OPENLINEAGE_NAMESPACE"
_DEFAULT_NAMESPACE = "dagster"
_INTERVAL_SECONDS = 30
# Changes of runs in one evaluation, which has to end within a minute.
_AT_ONCE = 50

logger = logging.getLogger(__name__)


def create_openlineage_sensor(
    assets: Iterable[dg.AssetsDefinition],
) -> dg.SensorDefinition | None:
    """Create the sensor, running by default, if the URL of a server is set in the environment.

    Args:
        assets: The assets of the location.

    Returns:
        None if no server is configured, or the extra `openlineage` is not installed.
    """
    if not os.environ.get(URL_VARIABLE):
        return None
    if find_spec("dagster_openlineage") is None:
        logger.warning(
            "%s is set, but no lineage is sent: pip install 'floe-ingestion-defs[openlineage]'",
            URL_VARIABLE,
        )
        return None
    ours = [
        (assets_def, configured)
        for assets_def in assets
        if (configured := configured_source_of(assets_def)) is not None
    ]

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=sensor_status(running=True),
        description=f"Send the lineage of ingestion runs to the server in {URL_VARIABLE}.",
    )
    def send_lineage(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if context.cursor is None:
            # History is not sent, which may be that of years.
            newest = _changes(context.instance, None, ascending=False)[:1]
            context.update_cursor(str(newest[0].storage_id if newest else 0))
            return dg.SkipReason("Lineage is sent for runs from now on.")
        return dg.SkipReason(f"{_send(context, ours)} events sent.")

    return send_lineage


def _send(
    context: dg.SensorEvaluationContext,
    ours: Sequence[tuple[dg.AssetsDefinition, ConfiguredSource]],
) -> int:
    from openlineage.client import OpenLineageClient

    from floe_ingestion_defs.dagster_wiring.openlineage.events import LoadedAsset, RunLineage

    assets = {
        key: LoadedAsset(
            key, upstream_key(configured, name), configured, configured.resources[name]
        )
        for assets_def, configured in ours
        for key, name in resources_by_key(assets_def).items()
    }
    namespace = os.environ.get(NAMESPACE_VARIABLE) or _DEFAULT_NAMESPACE
    client, sent = OpenLineageClient(), 0
    for record in _changes(context.instance, int(context.cursor or 0), ascending=True):
        entry = record.event_log_entry
        run = context.instance.get_run_by_id(entry.run_id)
        if run is not None and entry.dagster_event is not None:
            lineage = RunLineage(run, assets, namespace, context.instance)
            for event in lineage.events(entry.dagster_event.event_type, entry.timestamp):
                client.emit(event)
                sent += 1
        context.update_cursor(str(record.storage_id))
    return sent


def _changes(
    instance: dg.DagsterInstance, after: int | None, *, ascending: bool
) -> list[dg.EventLogRecord]:
    """Return the starts and ends of runs in the event log, in its order."""
    kinds = dg.DagsterEventType
    found = chain.from_iterable(
        instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(event_type=kind, after_storage_id=after),
            limit=_AT_ONCE,
            ascending=ascending,
        ).records
        for kind in (kinds.RUN_START, kinds.RUN_SUCCESS, kinds.RUN_FAILURE, kinds.RUN_CANCELED)
    )
    ordered = sorted(found, key=lambda record: record.storage_id, reverse=not ascending)
    return ordered[:_AT_ONCE]
