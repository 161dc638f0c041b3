"""Files in folders and buckets, read as Arrow, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from floe_ingestion_defs.dlt_plugin.cursor_values import as_declared
from floe_ingestion_defs.dlt_plugin.incremental import cursor_for
from floe_ingestion_defs.dlt_plugin.source_options.filesystem import FilesystemOptions

if TYPE_CHECKING:
    import pyarrow as pa
    from dlt.extract import DltResource
    from fsspec import AbstractFileSystem

    from floe_ingestion_defs.dlt_plugin.config import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest
    from floe_ingestion_defs.dlt_plugin.resources import ResourceSpec


class FilesystemSource:
    """CSV, JSONL and Parquet files."""

    name: ClassVar[str] = "filesystem"

    def build(
        self,
        source: IngestionSourceConfig,
        options: FilesystemOptions,
        specs: Sequence[ResourceSpec],
        request: LoadRequest,
    ) -> list[DltResource]:
        """Make the one resource of the source."""
        import dlt

        resources = []
        for spec in specs:
            # A backfill looks for the window's rows wherever they are.
            only_new = _only_new_files(options, spec) and not request.is_window
            resource = dlt.resource(_read_files, name=spec.name)(
                source, options, spec, only_new, request.limit
            )
            cursor = cursor_for(spec, request, partial(_typed, spec=spec))
            if cursor is not None:
                resource.apply_hints(incremental=cursor)
            resources.append(resource)
        return resources

    def check(
        self, source: IngestionSourceConfig, options: FilesystemOptions, timeout: float
    ) -> None:
        """Look whether the folder or bucket is there."""
        fs = _open_filesystem(source, options)
        if "file" in fs.protocol:
            from dlt.common.storages.configuration import FilesystemConfiguration

            path = options.bucket_url
            if not FilesystemConfiguration.is_local_path(path):
                path = FilesystemConfiguration.make_local_path(path)
            if not fs.isdir(path):
                msg = f"there is no folder {path}"
                raise FileNotFoundError(msg)
            return
        fs.ls(options.bucket_url, detail=False)


def _typed(value: Any, spec: ResourceSpec) -> Any:
    name = spec.cursor_field or ""
    return as_declared(value, spec.columns.get(name), name)


def _only_new_files(options: FilesystemOptions, spec: ResourceSpec) -> bool:
    if options.only_new_files is not None:
        return options.only_new_files
    return spec.write_mode != "replace"


def _open_filesystem(
    source: IngestionSourceConfig, options: FilesystemOptions
) -> AbstractFileSystem:
    """Open the file system with given credentials, or with what dlt's providers know."""
    from dlt.common.configuration.resolve import resolve_configuration
    from dlt.common.storages.configuration import FilesystemConfiguration
    from dlt.common.storages.fsspec_filesystem import fsspec_from_config

    given: dict[str, Any] = {"bucket_url": options.bucket_url}
    credentials = options.credentials if options.credentials is not None else source.credentials
    if credentials is not None:
        given["credentials"] = (
            {key: value.get_secret_value() for key, value in credentials.items()}
            if isinstance(credentials, dict)
            else credentials.get_secret_value()
        )
    for key in ("kwargs", "client_kwargs"):
        if getattr(options, key) is not None:
            given[key] = getattr(options, key)
    config = resolve_configuration(
        FilesystemConfiguration(),
        sections=("sources", source.name, "filesystem"),
        explicit_value=given,
    )
    return fsspec_from_config(config)[0]


def _read_files(
    source: IngestionSourceConfig,
    options: FilesystemOptions,
    spec: ResourceSpec,
    only_new_files: bool,
    limit: int | None,
) -> Iterator[pa.Table]:
    import dlt
    import pyarrow as pa

    from floe_ingestion_defs.dlt_plugin.hints import column_hints
    from floe_ingestion_defs.dlt_plugin.sources.file_listing import LoadedFiles, list_files
    from floe_ingestion_defs.dlt_plugin.sources.file_readers import read_file
    from floe_ingestion_defs.dlt_plugin.sources.known_types import KnownTypes

    schema = dlt.current.source_schema()
    known = schema.tables.get(spec.table_name, {}).get("columns", {})
    # A table that nobody knows yet has nothing that a contract could hold on to.
    judged = spec.schema_contract != "evolve" and any(c.get("data_type") for c in known.values())
    types = KnownTypes(column_hints(spec), known, schema.naming, lenient=judged)
    fs = _open_filesystem(source, options)
    files = list_files(fs, options.bucket_url, options.file_glob)
    loaded = LoadedFiles(dlt.current.resource_state() if only_new_files else {})
    rows = 0
    try:
        for file in loaded.select_new(files):
            for table in read_file(fs, file, options, types):
                if options.file_name_column:
                    name = pa.scalar(file.name, pa.string())
                    table = table.append_column(
                        options.file_name_column, pa.repeat(name, table.num_rows)
                    )
                rows += table.num_rows
                yield table
            if limit is not None and rows >= limit:
                # This file is read, and the next one is not begun: a file counts as a whole.
                loaded.finish(file)
                return
    finally:
        loaded.remember()
