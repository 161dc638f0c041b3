"""Reads one CSV, JSON, Parquet or Excel file as Arrow tables, a block at a time.

Declared types take precedence, then those of the table or an earlier file; other types are inferred
from the values. Errors name the file and the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from floe_ingestion_defs.dlt_plugin.errors.exceptions import ErrorCategory, SourceReadError
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import CONFLICT_REMEDY
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import NESTED_ADVICE, ColumnTypeMismatch
from floe_ingestion_defs.dlt_plugin.sources.files.blocks import LongRow, open_file, open_text
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import (
    BrokenFile,
    reject_repeated_names,
)
from floe_ingestion_defs.dlt_plugin.sources.files.csv_files import read_csv
from floe_ingestion_defs.dlt_plugin.sources.files.jsonl_files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec import AbstractFileSystem

    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes
    from floe_ingestion_defs.dlt_plugin.sources.files.listing import ListedFile

# Size up to which a file is held in memory until it is read completely; larger ones are read twice.
_HELD_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class FileReader:
    """Reads the files of one load.

    Attributes:
        fs: File system of the files.
        options: Options of the source.
        types: Types of the table's columns, to which new columns are added.
        show_values: Whether errors may contain values of a file.
    """

    fs: AbstractFileSystem
    options: FilesystemOptions
    types: KnownTypes
    show_values: bool = False

    def read(self, file: ListedFile) -> Iterator[pa.Table]:
        """Yield a file's rows as Arrow tables whose columns have the table's types.

        A file without rows has one table without rows, and without columns if it names none.

        Raises:
            SourceReadError: The file cannot be read; names file and line.
        """
        try:
            empty = True
            for table in self._tables(file):
                empty = False
                yield self.types.conform(table)
            if empty:
                yield pa.table({})
        except BrokenFile as broken:
            raise SourceReadError(
                broken.describe(file.name, show_values=self.show_values)
            ) from None
        except LongRow as long:
            msg = f"{file.name}: {long}"
            raise SourceReadError(msg) from None
        except ColumnTypeMismatch as mismatch:
            advice = (
                "declare the column with a wider type under `columns` before its first load, or "
                f"{CONFLICT_REMEDY}"
            )
            if mismatch.is_nested:
                advice = f"or {NESTED_ADVICE}"
            msg = f"{file.name}: {mismatch}; correct the file, {advice}"
            raise SourceReadError(msg) from None
        except (pa.ArrowException, UnicodeError, EOFError) as error:
            raise self._unreadable(file, error) from None
        except FileNotFoundError:
            gone = SourceReadError(f"{file.name}: the file was deleted after it was listed")
            gone.category = ErrorCategory.TRANSIENT
            raise gone from None
        except PermissionError as error:
            msg_0 = f"{file.name}: no permission to read the file ({error})"
            raise SourceReadError(msg_0) from None
        except OSError as error:
            if error.errno is not None:
                raise
            # Arrow's own error, such as a truncated compressed file.
            raise self._unreadable(file, error) from None

    def read_whole(self, file: ListedFile) -> Iterator[pa.Table]:
        """Return a file's rows after the whole file has been read.

        Raises:
            SourceReadError: The file cannot be read; none of its rows were returned, and the types
                of its columns are discarded.
        """
        before = self.types.copy()
        held: list[pa.Table] = []
        size = 0
        try:
            for table in self.read(file):
                size += table.nbytes
                held = [*held, table] if size <= _HELD_BYTES else []
        except SourceReadError:
            self.types.restore(before)
            raise
        return iter(held) if size <= _HELD_BYTES else self.read(file)

    def _tables(self, file: ListedFile) -> Iterator[pa.Table]:
        if self.options.format == "parquet":
            with open_file(self.fs, file) as opened, pa_parquet.ParquetFile(opened) as parquet:
                reject_repeated_names(parquet.schema_arrow.names, "in the file's schema")
                # One row group at a time: pyarrow buffers everything that is requested.
                if not parquet.metadata.num_rows:
                    yield parquet.schema_arrow.empty_table()
                for number in range(parquet.num_row_groups):
                    for batch in parquet.iter_batches(self.options.batch_rows, row_groups=[number]):
                        yield pa.Table.from_batches([batch])
            return
        if self.options.format == "excel":
            from floe_ingestion_defs.dlt_plugin.sources.files.excel_files import read_excel

            with open_file(self.fs, file) as opened:
                yield from read_excel(opened, self.options, self.types)
            return
        read = read_csv if self.options.format == "csv" else read_json
        with open_text(self.fs, file, self.options) as stream:
            yield from read(stream, self.options, self.types)

    def _unreadable(self, file: ListedFile, error: Exception) -> SourceReadError:
        broken = BrokenFile(str(error))
        return SourceReadError(broken.describe(file.name, show_values=self.show_values))
