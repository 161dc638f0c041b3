"""The sensor that loads a filesystem source when its files change, and again when a load failed."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from floe_ingestion_defs.dagster_wiring.automation.default_status import sensor_status
from floe_ingestion_defs.dagster_wiring.configured_source import (
    CAUSE_TAG,
    SOURCE_TAG,
    ConfiguredSource,
)
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

# The listing that a run was requested for, and which request for it the run is.
LISTING_TAG = "floe/listing"
ATTEMPT_TAG = "floe/attempt"
_MINUTE = timedelta(minutes=1)
# After each further failure, twice as long as before.
_FIRST_WAIT = timedelta(minutes=5)
_LONGEST_WAIT = timedelta(hours=1)
_NAMED_FILES = 10


def create_new_files_sensor(
    configured: ConfiguredSource, job: "UnresolvedAssetJobDefinition"
) -> dg.SensorDefinition:
    """Create the sensor that loads a filesystem source when the listing of its folder changes.

    It waits until two consecutive ticks find the same listing, so that a burst of files causes one
    run and no file is read while it is still being written. The cursor is the listing that was
    last requested: after an outage the current listing differs from it, and no file is missed.
    If the run failed, it is requested again, later each time.

    Args:
        configured: The source, with its settings.
        job: The source's job.

    Raises:
        PipelineConfigurationError: The source is not a filesystem source.
    """
    source, settings = configured.source, configured.settings
    if source.source_type != "filesystem":
        msg = (
            f"source {source.name!r}: orchestration.new_files_every requires a source of type "
            f"'filesystem', and this one is {source.source_type!r}; use a cron"
        )
        raise PipelineConfigurationError(
            msg,
            source_name=source.name,
        )

    @dg.sensor(
        name=f"{job.name}_new_files",
        job=job,
        minimum_interval_seconds=int((settings.new_files_every or _MINUTE).total_seconds()),
        default_status=sensor_status(running=settings.default_status == "running"),
        description=f"Load source `{source.name}` when its files have changed.",
    )
    def look_for_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        listed = _digest_listing(configured)
        seen, requested, *_ = json.loads(context.cursor or '["", ""]')
        if listed == requested:
            return _after_request(context, configured, listed)
        if listed != seen:
            return dg.SensorResult(
                skip_reason="Files are still arriving; waiting for the listing to stabilize.",
                cursor=json.dumps([listed, requested]),
            )
        request = _request(configured, listed, 1, "new files")
        return dg.SensorResult([request], cursor=json.dumps([listed, listed]))

    return look_for_files


def _after_request(
    context: dg.SensorEvaluationContext, configured: ConfiguredSource, listed: str
) -> dg.SensorResult | dg.SkipReason:
    """Request the run for an unchanged listing again if it failed."""
    source = configured.source
    filters = dg.RunsFilter(tags={SOURCE_TAG: source.name, LISTING_TAG: listed})
    record = next(iter(context.instance.get_run_records(filters, limit=1)), None)
    run = None if record is None else record.dagster_run
    if record is None or run is None or run.status is dg.DagsterRunStatus.SUCCESS:
        return dg.SkipReason("No new or changed files.")
    if run.status is dg.DagsterRunStatus.CANCELED:
        return dg.SkipReason(f"Run {run.run_id} was canceled; it is not requested again.")
    if run.status is not dg.DagsterRunStatus.FAILURE:
        return dg.SkipReason(f"Run {run.run_id} loads the new files.")
    files, cursor = _failed_files(context, configured, run.run_id, listed)
    attempt = int(run.tags.get(ATTEMPT_TAG, "1"))
    failed = f"Run {run.run_id} failed to load {_named(files)} (attempt {attempt}"
    if attempt > configured.settings.new_files_retries:
        reason = f"{failed}, the last one). Correct the cause, and change a file or launch the job."
        return dg.SensorResult(skip_reason=reason, cursor=cursor)
    wait = min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT)
    ended = record.end_time or record.update_timestamp.timestamp()
    due = datetime.fromtimestamp(ended, UTC) + wait
    if datetime.now(UTC) < due:
        reason = f"{failed}). It is requested again at {due:%Y-%m-%d %H:%M:%S} UTC."
        return dg.SensorResult(skip_reason=reason, cursor=cursor)
    context.log.warning("%s). It is requested again.", failed)
    return dg.SensorResult(
        [_request(configured, listed, attempt + 1, f"failed files: {_named(files)}")],
        cursor=json.dumps([listed, listed]),
    )


def _request(configured: ConfiguredSource, listed: str, attempt: int, cause: str) -> dg.RunRequest:
    name = configured.source.name
    return dg.RunRequest(
        run_key=f"{name}@{listed}" + (f"#{attempt}" if attempt > 1 else ""),
        tags={
            SOURCE_TAG: name,
            CAUSE_TAG: cause,
            LISTING_TAG: listed,
            ATTEMPT_TAG: str(attempt),
        },
    )


def _failed_files(
    context: dg.SensorEvaluationContext, configured: ConfiguredSource, run_id: str, listed: str
) -> tuple[list[str], str]:
    """Return the files that a failed run did not load, and the cursor that remembers them."""
    _, _, *known = json.loads(context.cursor or "[]")
    if known and known[0]["run"] == run_id:
        return known[0]["files"], context.cursor or ""
    from floe_ingestion_defs.dlt_plugin.pending_files import pending_files

    files = pending_files(configured.plugin.create_pipeline(configured.source))
    found = files[:_NAMED_FILES]
    if len(files) > len(found):
        found.append(f"{len(files) - len(found)} more")
    return found, json.dumps([listed, listed, {"run": run_id, "files": found}])


def _named(files: Sequence[str]) -> str:
    return ", ".join(files) or "the source"


def _digest_listing(configured: ConfiguredSource) -> str:
    """Return a digest that changes when a file of a source is added, changed or removed."""
    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.preparation import resolve_source
    from floe_ingestion_defs.dlt_plugin.sources.files.filesystem import open_filesystem
    from floe_ingestion_defs.dlt_plugin.sources.files.listing import list_files

    source, options = resolve_source(configured.source)
    if not isinstance(options, FilesystemOptions):
        msg = f"source {source.name!r} is not a filesystem source"
        raise dg.DagsterInvariantViolationError(msg)
    files = list_files(open_filesystem(source, options), options.bucket_url, options.file_glob)
    return hashlib.blake2b(
        b"".join(sorted(file.fingerprint for file in files)), digest_size=16
    ).hexdigest()
