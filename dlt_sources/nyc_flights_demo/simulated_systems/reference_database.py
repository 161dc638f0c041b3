"""The reference database: a SQLite file with airlines, airports and planes."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from dlt_sources.nyc_flights_demo.simulated_systems import original, settings

# Long before any real change, so a row that is edited by hand sorts after all of them.
_FIRST_UPDATE = datetime(settings.YEAR, 1, 1)


def build_database(path: Path) -> int:
    """Create the reference database, or add the rows that it lacks.

    Every row has a distinct `updated_at`, one second after the previous row, so that a cursor on
    that column resumes at an exact row. Existing rows are kept, edited ones included. Everything
    happens in one transaction.

    Returns:
        The number of added rows.

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
    # SQLite converts the CSV's strings to the column's declared type, so `10` in a REAL is 10.0.
    added = connection.executemany(
        f'INSERT INTO "{name}" VALUES ({places}) ON CONFLICT DO NOTHING',  # noqa: S608 - our names
        (
            (*(row[column] for column in table.columns), _updated_at(position))
            for position, row in enumerate(original.read_rows(name))
        ),
    )
    return added.rowcount


def _updated_at(position: int) -> str:
    # The one format that both SQLAlchemy and SQLite's own functions read as a timestamp.
    timestamp = _FIRST_UPDATE + timedelta(seconds=position)
    return timestamp.isoformat(sep=" ", timespec="microseconds")


def count_rows(path: Path) -> Mapping[str, int]:
    """Count the rows of each reference table."""
    with closing(_open_readonly(path)) as connection:
        return {
            name: _only_number(connection.execute(f'SELECT count(*) FROM "{name}"'))  # noqa: S608
            for name in settings.REFERENCE_TABLES
        }


def count_updates(path: Path, table: str, after: datetime | None) -> int:
    """Count the rows of a table whose `updated_at` is later than `after`; None counts all."""
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
