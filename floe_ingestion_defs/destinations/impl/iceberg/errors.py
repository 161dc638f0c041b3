"""What the destination raises.

dlt stops retrying on its terminal exceptions and retries on the others, so each error derives from
the one of dlt's two bases that reflects what a retry would do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.destination.exceptions import (
    DestinationTerminalException,
    DestinationTransientException,
)
from pyiceberg.exceptions import (
    BadRequestError,
    ForbiddenError,
    NamespaceNotEmptyError,
    NoSuchIcebergTableError,
    TableAlreadyExistsError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Finding:
    """Something that must not be published.

    Attributes:
        audit: The audit that found it.
        table: `namespace.table`.
        message: What is wrong and what to do, in a sentence or two; no values of rows.
        column: The column concerned, if it concerns one.
        details: Further data for programs: counts, types.
    """

    audit: str
    table: str
    message: str
    column: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        return f"{where}: {self.message} [{self.audit}]"


class CommitConflict(Exception):
    """Another writer committed first; nothing was applied. Reload and recompute."""


class ReadTooLongAgo(CommitConflict):
    """What a commit is computed from was read so long ago that its files may have been swept."""


class CommitContention(DestinationTransientException):
    """A table was so busy that no commit succeeded within the time limit."""


class DatasetRefused(DestinationTerminalException):
    """A branch deployment requested a dataset that is not its own. Nothing was changed."""


class UnsupportedCatalog(DestinationTerminalException):
    """pyiceberg cannot commit to tables of this type of catalog."""


class LocationInUse(DestinationTerminalException):
    """A catalog requires a location for a new table that has files of another table."""


class LoadRefused(Exception):
    """A load was rejected before its commit, and the same package would be rejected again.

    Nothing was changed, and its package is moved to those that dlt has aborted: the pipeline's
    state is what it was before the extraction, and the next run extracts again.
    """


class StateConflict(DestinationTransientException, LoadRefused):
    """Another run of the pipeline moved the cursor of a resource that this load extracted.

    No data of the load is visible. The rows must be extracted again, from the newer cursor.
    """


class UnknownLogFormat(DestinationTransientException):
    """A newer release wrote the log, and this one cannot read it; nothing was touched.

    Transient, because the process that runs after the upgrade succeeds.

    Attributes:
        log: The log's name.
        version: The version of the format.
        release: The release that wrote it.
    """

    def __init__(
        self,
        log: str,
        version: int | None,
        release: str | None,
        known: int,
        *,
        what: str = "a row",
    ) -> None:
        self.log = log
        self.version = version
        self.release = release
        found = "without a format" if version is None else f"in format {version}"
        super().__init__(
            f"`{log}` has {what} {found} that this release cannot read; it reads formats up to "
            f"{known}. {release or 'Another program'} wrote {what}. "
            + (f"Upgrade this process to {release} or newer. " if release else f"Delete {what}. ")
            + "Nothing was changed."
        )


class LogBehindTables(DestinationTerminalException, LoadRefused):
    """The log lost rows of committed loads, by a rollback or a deletion; nothing was loaded.

    Cursors would resume where the log ends, and rows would be loaded twice.
    """


class LogReplaced(DestinationTransientException, LoadRefused):
    """The dataset's log was dropped, or replaced by another, while a load was under way.

    Transient: the next run extracts from the state that is there now.
    """


class ForeignLog(DestinationTerminalException, LoadRefused):
    """A table was published from another log, so its content is unknown; nothing was loaded."""


class LoadExpired(DestinationTransientException):
    """A load took longer than staged files are guaranteed to be kept, and was not committed."""


class AuditFailed(DestinationTerminalException, LoadRefused):
    """The staged rows did not pass an audit: tables, schemas and state are as they were.

    Attributes:
        findings: What the audits found, never empty.
    """

    def __init__(self, dataset_name: str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        listed = "; ".join(str(finding) for finding in findings)
        super().__init__(f"The load into `{dataset_name}` was not published: {listed}")


class IncompatibleSchema(DestinationTerminalException, LoadRefused):
    """Iceberg cannot widen a column's type to the incoming one.

    Attributes:
        table: `namespace.table`.
        column: The column's name.
        table_type: The Iceberg type in the table.
        incoming_type: The Iceberg type in the load.
    """

    def __init__(self, table: str, column: str, table_type: str, incoming_type: str) -> None:
        self.table = table
        self.column = column
        self.table_type = table_type
        self.incoming_type = incoming_type
        super().__init__(
            f"Column `{column}` of table `{table}` is `{table_type}`, but the load has "
            f"`{incoming_type}`, which Iceberg cannot widen it to. Cast the column in the source, "
            "or reload the table with `refresh`."
        )


class ColumnNameCollision(IncompatibleSchema):
    """A load has a column whose name differs from one of the table's in case alone.

    Attributes:
        present: The name in the table.
    """

    def __init__(
        self, table: str, column: str, present: str, table_type: str, incoming_type: str
    ) -> None:
        super().__init__(table, column, table_type, incoming_type)
        self.present = present
        self.args = (
            f"The load has column `{column}` for table `{table}`, which has `{present}`: most "
            "engines cannot query a table with two names that differ in case alone. Rename the "
            "column in the source, or use a naming convention without case such as `snake_case`.",
        )


class NotPublishable(DestinationTerminalException, LoadRefused):
    """A load could not be published to a table, which was found before its commit.

    Attributes:
        table: `namespace.table`.
        reason: What the table or its catalog does not accept, and the remedy.
    """

    def __init__(self, table: str, reason: str) -> None:
        self.table = table
        self.reason = reason
        super().__init__(f"Nothing was loaded into `{table}`: {reason}.")


class UnpublishableRows(DestinationTerminalException):
    """The rows of a committed load cannot be published to a table, however often it is retried."""


class TableBlocked(DestinationTerminalException):
    """A committed load cannot be published to a table that was changed after its audit."""


class TableStillBlocked(DestinationTerminalException, LoadRefused):
    """An earlier load still cannot be published to a table of this load; nothing was loaded."""


class RowsLost(DestinationTerminalException):
    """A rewrite of data files does not have their rows. Nothing was committed.

    Attributes:
        rows: The rows of the files.
        deleted: How many of them are deleted.
        written: The rows of the new files.
    """

    def __init__(self, rows: int, deleted: int, written: int) -> None:
        self.rows = rows
        self.deleted = deleted
        self.written = written
        super().__init__(
            f"Files with {rows} rows, of which {deleted} are deleted, were rewritten with "
            f"{written} rows. Nothing was committed."
        )

    def __reduce__(self) -> tuple[type[RowsLost], tuple[int, int, int]]:
        # A rewrite may run in another process.
        return type(self), (self.rows, self.deleted, self.written)


class FailedJobs(DestinationTerminalException):
    """A load package has failed jobs: committing the others would lose rows."""


class InvalidHint(DestinationTerminalException, LoadRefused):
    """A resource's hint requires something that its rows, or Iceberg, do not support."""


class InvalidZOrder(ConfigurationValueError):
    """A table cannot be z-ordered by the columns that a compaction was given; nothing was changed.

    Attributes:
        table: `namespace.table`.
    """

    def __init__(self, table: str, reason: str) -> None:
        self.table = table
        super().__init__(f"Table `{table}` cannot be z-ordered: {reason}")


class InvalidRows(DestinationTerminalException, LoadRefused):
    """A row has a value that does not fit the type of its column; nothing was loaded."""


# Errors that recur at each attempt, so that a retry would only delay other tables: values that do
# not fit or cannot be compared, a staged or a metadata file that was deleted, a name that the
# catalog does not accept. Later publishers retry all others.
DETERMINISTIC_ERRORS = (
    IncompatibleSchema,
    UnpublishableRows,
    ArithmeticError,
    BadRequestError,
    FileNotFoundError,
    LookupError,
    NamespaceNotEmptyError,
    NoSuchIcebergTableError,
    NotImplementedError,
    TableAlreadyExistsError,
    TypeError,
    ValidationError,
    ValueError,
)

# What blocks a table of the pipeline itself: without permission to write to it, each attempt fails.
BLOCKING_ERRORS = (*DETERMINISTIC_ERRORS, ForbiddenError)
