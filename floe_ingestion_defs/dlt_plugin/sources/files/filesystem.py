"""Sources of type `filesystem`: files in folders and buckets, each read once, as Arrow tables."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from floe_ingestion_defs.dlt_plugin.cursors.incremental import cursor_for
from floe_ingestion_defs.dlt_plugin.cursors.values import as_declared
from floe_ingestion_defs.dlt_plugin.errors.exceptions import (
    ErrorCategory,
    PipelineConfigurationError,
    SourceReadError,
)
from floe_ingestion_defs.dlt_plugin.sources.base import SourceType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from dlt.extract import DltResource
    from fsspec import AbstractFileSystem

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes
    from floe_ingestion_defs.dlt_plugin.sources.files.listing import ListedFile

logger = logging.getLogger(__name__)

_ITEM_ROWS = 10_000
# Key of the metadata of an Arrow schema.
_FILE = b"file"
# How many levels of folders are searched for files that the glob does not match.
_LOOKED_AT_DEPTH = 3


class FilesystemSource(SourceType):
    """CSV, JSON and Parquet files."""

    name: ClassVar[str] = "filesystem"

    def build(
        self,
        source: IngestionSourceConfig,
        options: FilesystemOptions,
        specs: Sequence[ResourceSpec],
        request: LoadRequest,
        rejections: Mapping[str, Rejections],
    ) -> list[DltResource]:
        """Return the only resource of the source."""
        import dlt

        resources = []
        for spec in specs:
            # A backfill reads all files, because any may contain rows of the window.
            only_new = _only_new_files(options, spec) and request.window is None
            resource = dlt.resource(_read_files, name=spec.name)(
                source, options, spec, only_new, request.limit, rejections[spec.name]
            )
            cursor = cursor_for(spec, request, partial(_typed, spec=spec))
            if cursor is not None:
                resource.apply_hints(incremental=cursor)
            resources.append(resource)
        return resources

    def check(
        self, source: IngestionSourceConfig, options: FilesystemOptions, timeout: float
    ) -> None:
        """Verify that the folder or bucket exists."""
        fs = open_filesystem(source, options)
        if "file" in fs.protocol:
            from dlt.common.storages.configuration import FilesystemConfiguration

            path = options.bucket_url
            if not FilesystemConfiguration.is_local_path(path):
                path = FilesystemConfiguration.make_local_path(path)
            if not fs.isdir(path):
                msg = f"folder {path} does not exist"
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


def open_filesystem(
    source: IngestionSourceConfig, options: FilesystemOptions
) -> AbstractFileSystem:
    """Open the file system with the given credentials, or with those of dlt's providers."""
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
    rejections: Rejections,
) -> Iterator[pa.Table]:
    import dlt

    from floe_ingestion_defs.dlt_plugin.hints import column_hints
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes
    from floe_ingestion_defs.dlt_plugin.sources.files.listing import LoadedFiles, list_files
    from floe_ingestion_defs.dlt_plugin.sources.files.readers import FileReader
    from floe_ingestion_defs.dlt_plugin.sources.files.typed_tables import typed_tables
    from floe_ingestion_defs.dlt_plugin.sources.first_load import is_first_load

    schema = dlt.current.source_schema()
    known = schema.tables.get(spec.table_name, {}).get("columns", {})
    lenient = spec.schema_contract != "evolve" or spec.moves_conflicts
    types = KnownTypes(
        column_hints(spec), known, schema.naming, lenient=lenient, nested=spec.keeps_nested
    )
    frozen = spec.schema_contract == "freeze"
    fs = open_filesystem(source, options)
    reader = FileReader(fs, options, types, spec.show_values)
    files = list_files(fs, options.bucket_url, options.file_glob)
    if not files:
        _require_match(fs, options, spec)
    loaded = LoadedFiles(dlt.current.resource_state() if only_new_files else {})

    def tables() -> Iterator[pa.Table]:
        rows = 0
        for file in loaded.select_new(files):
            read = reader.read if options.unreadable_files == "fail" else reader.read_whole
            try:
                found = read(file)
            except SourceReadError as error:
                if error.category is ErrorCategory.TRANSIENT:
                    raise
                rejections.files[file.name] = error.message
                continue
            for table in found:
                rows += table.num_rows
                table = types.learn(_with_file_name(table, file, options))
                # The error of a contract names the file, so its rows are not mixed with others.
                yield table.replace_schema_metadata({_FILE: file.name} if frozen else None)
            loaded.finish(file)
            # Files are loaded completely, so the limit is checked only between files.
            if limit is not None and rows >= limit:
                return

    try:
        typed = typed_tables(
            tables(),
            types,
            first_load=is_first_load(spec.table_name),
            has_load_id=spec.add_load_id,
        )
        for table in _gather(typed):
            metadata = table.schema.metadata or {}
            rejections.current_file = metadata.get(_FILE, b"").decode() or None
            yield table.replace_schema_metadata(None)
        _require_formatted_columns(options, types, files)
    finally:
        loaded.remember()


def _require_match(fs: AbstractFileSystem, options: FilesystemOptions, spec: ResourceSpec) -> None:
    """Reject a glob that matches none of the files that are there, until one was loaded.

    Later, a folder without a matching file is as usual as an empty one.
    """
    from floe_ingestion_defs.dlt_plugin.sources.first_load import reject_empty_first_load

    if found := fs.find(options.bucket_url, maxdepth=_LOOKED_AT_DEPTH):
        msg = (
            f"source_config.file_glob is {options.file_glob!r}, which matches none of the "
            f"{len(found)} files in the folder; the first is {PurePosixPath(found[0]).name}"
        )
        reject_empty_first_load(spec.table_name, msg)


def _require_formatted_columns(
    options: FilesystemOptions, types: KnownTypes, files: Sequence[ListedFile]
) -> None:
    """Reject a format for a column that does not exist: the real one would be loaded as text."""
    for setting in ("date_formats", "decimal_comma"):
        for name in types.absent(getattr(options, setting)) if files else ():
            msg = (
                f"source_config.{setting} names column {name!r}, which neither the table nor any "
                "of the files has"
            )
            raise PipelineConfigurationError(msg)


def _with_file_name(table: pa.Table, file: ListedFile, options: FilesystemOptions) -> pa.Table:
    import pyarrow as pa

    name = options.file_name_column
    if not name:
        return table
    if name in table.schema.names:
        # Arrow's reader of JSON adds the columns of the table that a file does not have.
        if table[name].null_count < table.num_rows:
            msg = f"{file.name}: the file has a column {name!r}; set another file_name_column"
            raise SourceReadError(msg)
        table = table.drop_columns([name])
    names = pa.repeat(pa.scalar(file.name, pa.string()), table.num_rows)
    return table.append_column(name, names)


def _gather(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield small tables combined: each item costs dlt a millisecond, regardless of its size."""
    import pyarrow as pa

    gathered: list[pa.Table] = []
    rows = 0
    for table in tables:
        if gathered and (
            rows >= _ITEM_ROWS or not table.schema.equals(gathered[0].schema, check_metadata=True)
        ):
            yield pa.concat_tables(gathered)
            gathered, rows = [], 0
        gathered.append(table)
        rows += table.num_rows
    if gathered:
        yield pa.concat_tables(gathered)
