"""Options of a source of files: where they lie and how they are read."""

from __future__ import annotations

import codecs
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions

FileFormat = Literal["csv", "jsonl", "parquet"]


class FilesystemOptions(SourceOptions):
    """CSV, JSONL or Parquet files in a folder or a bucket."""

    bucket_url: str = Field(
        description="Folder or bucket with the files: a path, or a URL such as s3://bucket/path."
    )
    file_glob: str = Field(
        default="*",
        min_length=1,
        description="Which files below bucket_url are read, such as **/*.csv; ** crosses folders.",
    )
    format: FileFormat = Field(description="What the files are: csv, jsonl or parquet.")
    resource_name: str | None = Field(
        default=None, description="Name of the one resource; left out, the table's name."
    )
    credentials: SecretStr | dict[str, SecretStr] | None = Field(
        default=None,
        description="Credentials of the bucket under dlt's names, such as aws_access_key_id.",
    )
    kwargs: dict[str, Any] | None = Field(
        default=None, repr=False, description="Arguments for the fsspec file system's constructor."
    )
    client_kwargs: dict[str, Any] | None = Field(
        default=None, repr=False, description="Arguments for the client below the file system."
    )
    only_new_files: bool | None = Field(
        default=None,
        description="Read only files that are new or changed since the last load; left out, "
        "that is so unless write_mode is replace.",
    )
    unreadable_files: Literal["fail", "quarantine"] = Field(
        default="fail",
        description="What a file that cannot be read does: fail the load, or be set aside, listed "
        "in the result and tried again by the next load.",
    )
    compression: Literal["auto", "none", "gzip", "zstd"] = Field(
        default="auto", description="Compression of csv and jsonl files; auto goes by the name."
    )
    null_values: tuple[str, ...] = Field(
        default=("",), description="Texts in csv files that mean a missing value, such as NA."
    )
    delimiter: str = Field(
        default=",", min_length=1, max_length=1, description="Character between csv fields."
    )
    quote_char: str = Field(
        default='"', min_length=1, max_length=1, description="Character around quoted csv fields."
    )
    newlines_in_values: bool = Field(
        default=False, description="Whether quoted csv fields may contain line ends; slower."
    )
    column_names: tuple[str, ...] | None = Field(
        default=None, description="Names of the csv columns where the files have no header line."
    )
    encoding: str = Field(default="utf-8", description="Character encoding of csv files.")
    block_size: int = Field(
        default=4 * 1024 * 1024,
        ge=64 * 1024,
        le=1024 * 1024 * 1024,
        description="Bytes of csv or jsonl that are read at a time.",
    )
    batch_rows: int = Field(
        default=65536, ge=1, description="Rows of a Parquet file that are read at a time."
    )
    file_name_column: str | None = Field(
        default=None, description="Column to add with the name of the file that a row came from."
    )

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            msg = f"encoding {value!r} is not known to Python; utf-8 and latin-1 are"
            raise ValueError(msg) from None
        return value
