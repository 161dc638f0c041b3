"""Names the files that the next load of a filesystem source reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_ingestion_defs.dlt_plugin.sources.files.filesystem import open_filesystem
from floe_ingestion_defs.dlt_plugin.sources.files.listing import LoadedFiles, list_files
from floe_ingestion_defs.dlt_plugin.telemetry.phases import PhaseClock
from floe_ingestion_defs.dlt_plugin.workspace import make_workspace

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline


def pending_files(described: IngestionPipeline) -> list[str]:
    """Return the listed files that the committed state does not have, by name.

    Args:
        described: The pipeline of a filesystem source.
    """
    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions

    options = described.options
    if not isinstance(options, FilesystemOptions):
        msg = f"source {described.name!r} is not a filesystem source"
        raise TypeError(msg)
    workspace = make_workspace(described, PhaseClock(described.redactor))
    try:
        workspace.pipeline.sync_destination()
        sources = workspace.pipeline.state.get("sources", {})
    finally:
        workspace.remove()
    (spec,) = described.resources
    state = sources.get(described.name, {}).get("resources", {}).get(spec.name, {})
    fs = open_filesystem(described.resolved, options)
    listed = list_files(fs, options.bucket_url, options.file_glob)
    return [file.name for file in LoadedFiles(state).select_new(listed)]
