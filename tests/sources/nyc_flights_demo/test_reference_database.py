import sqlite3
from contextlib import closing
from datetime import datetime

import sqlalchemy as sa

from dlt_sources.nyc_flights_demo.simulated_systems import (
    SimulatedSystems,
    reference_database,
    settings,
)


def _query(systems: SimulatedSystems, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(systems.database)) as connection:
        return connection.execute(sql).fetchall()


def test_every_row_of_the_original_exists_under_its_key(whole_year: SimulatedSystems) -> None:
    """16 airlines, 1,458 airports, 3,322 planes, and a primary key on each table."""
    counts = reference_database.count_rows(whole_year.database)
    assert counts == {"airlines": 16, "airports": 1_458, "planes": 3_322}
    for name, table in settings.REFERENCE_TABLES.items():
        keys = _query(whole_year, f"SELECT name FROM pragma_table_info('{name}') WHERE pk > 0")
        assert keys == [(table.key,)]


def test_numbers_are_numbers_and_missing_values_are_null(whole_year: SimulatedSystems) -> None:
    """Each value has the storage class that its column declares, or is NULL; none is `NA`."""
    classes = {"TEXT": "text", "INTEGER": "integer", "REAL": "real"}
    for name, table in settings.REFERENCE_TABLES.items():
        for column, kind in table.columns.items():
            found = _query(whole_year, f'SELECT DISTINCT typeof("{column}") FROM "{name}"')
            assert {(classes[kind],)} <= set(found) <= {(classes[kind],), ("null",)}
            assert _query(whole_year, f"SELECT 1 FROM {name} WHERE \"{column}\" = 'NA'") == []
    missing = "SELECT count(*) - count(year), count(*) - count(speed) FROM planes"
    assert _query(whole_year, missing) == [(70, 3_299)]
    assert _query(whole_year, "SELECT count(*) - count(tzone) FROM airports") == [(3,)]


def test_sqlalchemy_reflects_the_types_of_the_values(
    whole_year: SimulatedSystems,
) -> None:
    """Python values read through reflection are int, float, str, datetime or None."""
    engine = sa.create_engine(f"sqlite:///{whole_year.database}")
    airports = sa.Table("airports", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        row = connection.execute(sa.select(airports).where(airports.c.faa == "04G")).one()
    engine.dispose()
    assert row.lat == 41.1304722
    assert (row.alt, row.tz, row.tzone) == (1_044, -5, "America/New_York")
    assert row.updated_at == datetime(2013, 1, 1)
    assert isinstance(airports.c.updated_at.type, sa.DateTime)
    assert isinstance(airports.c.lat.type, sa.Float)
    assert isinstance(airports.c.alt.type, sa.Integer)


def test_no_two_rows_of_a_table_have_the_same_updated_at(whole_year: SimulatedSystems) -> None:
    """A cursor on it resumes at an exact row."""
    for name, rows in reference_database.count_rows(whole_year.database).items():
        assert _query(whole_year, f"SELECT count(DISTINCT updated_at) FROM {name}") == [(rows,)]


def test_building_again_adds_nothing_and_keeps_edited_rows(
    systems: SimulatedSystems,
) -> None:
    """The file is unchanged; a deleted row is restored, an edited one is kept."""
    assert reference_database.build_database(systems.database) == 16 + 1_458 + 3_322
    before = systems.database.read_bytes()
    assert reference_database.build_database(systems.database) == 0
    assert systems.database.read_bytes() == before

    with closing(sqlite3.connect(systems.database)) as connection, connection:
        connection.execute("UPDATE airlines SET name = 'United' WHERE carrier = 'UA'")
        connection.execute("DELETE FROM airlines WHERE carrier = 'AA'")
    assert reference_database.build_database(systems.database) == 1
    names = "SELECT name FROM airlines WHERE carrier IN ('AA', 'UA') ORDER BY carrier"
    assert _query(systems, names) == [("American Airlines Inc.",), ("United",)]
