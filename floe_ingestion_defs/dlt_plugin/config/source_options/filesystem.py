"""Options of a filesystem source: where its files are and how they are read."""

from __future__ import annotations

import codecs
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions

FileFormat = Literal["csv", "jsonl", "json", "parquet", "excel"]


class FilesystemOptions(SourceOptions):
    """CSV, JSON, Parquet or Excel files in a folder or a bucket."""

    bucket_url: str = Field(
        description="Folder or bucket that contains the files: a path, or a URL such as "
        "s3://bucket/path."
    )
    file_glob: str = Field(
        default="*",
        min_length=1,
        description="Glob pattern of the files to read, relative to bucket_url, such as **/*.csv; "
        "** matches any number of folders.",
    )
    format: FileFormat = Field(
        description="Format of the files: csv, jsonl (an object per line), json (an array of "
        "objects), parquet, or excel (.xlsx)."
    )
    resource_name: str | None = Field(
        default=None,
        description="Name of the source's only resource. Default: the name of the table.",
    )
    credentials: SecretStr | dict[str, SecretStr] | None = Field(
        default=None,
        description="Credentials of the bucket, with dlt's field names, such as aws_access_key_id.",
    )
    kwargs: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="Arguments of the constructor of the fsspec file system.",
    )
    client_kwargs: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="Arguments of the client that the file system uses.",
    )
    only_new_files: bool | None = Field(
        default=None,
        description="Whether to read only files that are new or changed since the last load. "
        "Default: true, unless write_mode is replace.",
    )
    unreadable_files: Literal["fail", "quarantine"] = Field(
        default="fail",
        description="What to do with a file that cannot be read: fail the load, or quarantine the "
        "file: report it in the result and retry it in the next load.",
    )
    compression: Literal["auto", "none", "gzip", "zstd"] = Field(
        default="auto",
        description="Compression of csv and json files; auto detects it by the file name.",
    )
    null_values: tuple[str, ...] = Field(
        default=("",),
        description="Strings in csv and excel files that represent a missing value, such as NA.",
    )
    delimiter: str = Field(
        default=",",
        min_length=1,
        max_length=20,
        pattern=r"^[^\r\n]+$",
        description="Delimiter of csv fields, of one character or several, such as '||'.",
    )
    quote_char: str = Field(
        default='"', min_length=1, max_length=1, description="Quote character of csv fields."
    )
    newlines_in_values: bool = Field(
        default=False,
        description="Whether quoted csv fields may contain line breaks; reading is slower.",
    )
    column_names: tuple[str, ...] | None = Field(
        default=None,
        description="Names of the columns of csv and excel files without a header.",
    )
    date_formats: dict[str, str] = Field(
        default_factory=dict,
        description="Formats of dates and timestamps in csv files by column, with Python's "
        "directives, such as '%d.%m.%Y'. Default: ISO 8601.",
    )
    decimal_comma: tuple[str, ...] = Field(
        default=(),
        description="Columns of csv files whose numbers have a decimal comma, such as 1.234,56.",
    )
    encoding: str = Field(default="utf-8", description="Character encoding of csv files.")
    block_size: int = Field(
        default=4 * 1024 * 1024,
        ge=64 * 1024,
        le=1024 * 1024 * 1024,
        description="Bytes of a csv or json file to read at a time; a row must fit into them.",
    )
    batch_rows: int = Field(
        default=65536, ge=1, description="Rows of a Parquet or excel file to read at a time."
    )
    sheet_name: str | None = Field(
        default=None, description="Sheet of excel files to read. Default: the first one."
    )
    header_row: int = Field(
        default=1,
        ge=1,
        description="Row of excel files with the names of the columns, or, with column_names, the "
        "first row to read; the rows above it are not read.",
    )
    file_name_column: str | None = Field(
        default=None,
        description="Name of a column to add, with the name of the file that each row comes from.",
    )

    @field_validator("date_formats")
    @classmethod
    def _formats_have_a_date(cls, value: dict[str, str]) -> dict[str, str]:
        for column, text in value.items():
            probe = datetime(2024, 11, 25, 13, 14, 15, tzinfo=UTC)
            try:
                parsed = datetime.strptime(probe.strftime(text), text)
            except ValueError:
                parsed = None
            if parsed is None or parsed.date() != probe.date():
                msg = (
                    f"{column!r}: {text!r} is not a valid format of dates; use directives for "
                    "year, month and day, such as '%d.%m.%Y'"
                )
                raise ValueError(msg)
            if any(part in text for part in ("%H", "%I")) and parsed.hour != probe.hour:
                msg = f"{column!r}: {text!r} lacks %p, by which %I is before or after noon"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _formats_are_those_of_csv(self) -> Self:
        for name in ("date_formats", "decimal_comma"):
            if getattr(self, name) and self.format != "csv":
                msg = f"{name} is for format: csv, and not for {self.format}; remove it"
                raise ValueError(msg)
        twice = sorted(set(self.date_formats) & set(self.decimal_comma))
        if twice:
            msg = f"column {twice[0]!r} is both in date_formats and in decimal_comma"
            raise ValueError(msg)
        return self

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            msg = (
                f"{value!r} is not a valid encoding; use one that Python supports, such as "
                "'utf-8' or 'latin-1'"
            )
            raise ValueError(msg) from None
        return value
