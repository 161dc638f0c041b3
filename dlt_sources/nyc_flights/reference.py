"""The reference database: airlines, airports and planes, as some other team's SQLite file."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from dlt_sources.nyc_flights import original, settings

# Long before any real change, so a row that somebody edits by hand comes after all of them.
_FIRST_UPDATE = datetime(settings.YEAR, 1, 1)


def build_database(path: Path) -> int:
    """Creates the reference database, or completes one that lacks rows.

    Every row has an `updated_at` of its own, a second after the row before it, so that a cursor on
    that column has an exact place to go on from. Rows that stand there stay as they are, also
    when somebody has edited them since. All or nothing: one transaction.

    Returns:
        The number of rows that were added.

    Raises:
        OriginalDataMissingError: The original data are not installed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        added = sum(
            _fill_table(connection, name, table)
            for name, table in settings.REFERENCE_TABLES.items()
        )
        connection.execute("COMMIT")
    return added


def _fill_table(connection: sqlite3.Connection, name: str, table: settings.ReferenceTable) -> int:
    declarations = [f'"{column}" {kind}' for column, kind in table.columns.items()]
    connection.execute(
        f'CREATE TABLE IF NOT EXISTS "{name}" ({", ".join(declarations)}, '
        f'"updated_at" TIMESTAMP NOT NULL, PRIMARY KEY ("{table.key}"))'
    )
    places = ", ".join("?" for _ in range(len(table.columns) + 1))
    # SQLite turns the CSV's text into the declared type of the column, so `10` in a REAL is 10.0.
    added = connection.executemany(
        f'INSERT INTO "{name}" VALUES ({places}) ON CONFLICT DO NOTHING',  # noqa: S608 - our names
        (
            (*(row[column] for column in table.columns), _updated_at(position))
            for position, row in enumerate(original.read_rows(name))
        ),
    )
    return added.rowcount


def _updated_at(position: int) -> str:
    # The one form of text that both SQLAlchemy and SQLite's own functions read as a timestamp.
    moment = _FIRST_UPDATE + timedelta(seconds=position)
    return moment.isoformat(sep=" ", timespec="microseconds")


def count_rows(path: Path) -> Mapping[str, int]:
    """The number of rows of each reference table."""
    with closing(_open_readonly(path)) as connection:
        return {
            name: _only_number(connection.execute(f'SELECT count(*) FROM "{name}"'))  # noqa: S608
            for name in settings.REFERENCE_TABLES
        }


def count_updates(path: Path, table: str, after: datetime | None) -> int:
    """The number of a table's rows whose `updated_at` is later than `after`; None means all."""
    newest_known = after.isoformat(sep=" ", timespec="microseconds") if after else ""
    with closing(_open_readonly(path)) as connection:
        return _only_number(
            connection.execute(
                f'SELECT count(*) FROM "{table}" WHERE updated_at > ?',  # noqa: S608 - our names
                (newest_known,),
            )
        )


def _open_readonly(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _only_number(cursor: sqlite3.Cursor) -> int:
    return int(cursor.fetchone()[0])
