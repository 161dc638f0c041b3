import io
from dataclasses import replace

import pytest
from rich.console import Console

from dlt_sources.nyc_flights_demo import report
from dlt_sources.nyc_flights_demo.run import AssetLoad, DemoRun, TableState
from dlt_sources.nyc_flights_demo.simulated_systems.settings import ROWS_OF_THE_YEAR

EMPTY = {name: TableState() for name in ROWS_OF_THE_YEAR}
WHOLE = {name: TableState(rows, snapshot_id=7) for name, rows in ROWS_OF_THE_YEAR.items()}
NOTHING = dict.fromkeys(ROWS_OF_THE_YEAR, 0)


def _load(table: str, rows_loaded: int) -> AssetLoad:
    return AssetLoad(
        asset=f"ingestion__nyc_{table}__{table}",
        rows_loaded=rows_loaded,
        total_rows=ROWS_OF_THE_YEAR[table],
        snapshot_id=7,
        seconds=1.0,
    )


def _run(title: str, rows: dict[str, int]) -> DemoRun:
    return DemoRun(title, {table: _load(table, rows[table]) for table in ROWS_OF_THE_YEAR})


def _text(renderable: object, width: int = 140) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()


def test_a_run_that_loads_exactly_what_is_new_is_without_fault() -> None:
    """On an empty catalog that is everything, on a full one nothing."""
    year = dict(ROWS_OF_THE_YEAR)
    for before, new in ((EMPTY, year), (WHOLE, NOTHING)):
        assert not report.find_faults_of_run(
            _run("a run", new), before=before, new_rows=new, held=year
        )
    assert not report.find_faults_of_year(WHOLE)


@pytest.mark.parametrize(
    ("load", "fault"),
    [
        (
            _load("flights", 1),
            "run “a run”, flights: loaded 1 rows where 0 were new",
        ),
        (
            replace(_load("flights", 0), total_rows=336_775),
            "run “a run”, flights: the table has 336,775 rows where 336,776 are right",
        ),
        (
            replace(_load("flights", 0), snapshot_id=8),
            "run “a run”, flights: a snapshot was made though nothing was new",
        ),
    ],
)
def test_a_wrong_number_is_named_with_its_run_its_table_and_what_is_right(
    load: AssetLoad, fault: str
) -> None:
    """One wrong thing, one sentence."""
    run = _run("a run", NOTHING)
    run = replace(run, loads={**run.loads, "flights": load})
    found = report.find_faults_of_run(run, before=WHOLE, new_rows=NOTHING, held=ROWS_OF_THE_YEAR)
    assert found == [fault]


def test_an_asset_that_was_not_materialized_is_a_fault() -> None:
    """A run that leaves one out is not a success."""
    run = _run("a run", NOTHING)
    run = replace(run, loads={k: v for k, v in run.loads.items() if k != "weather"})
    found = report.find_faults_of_run(run, before=WHOLE, new_rows=NOTHING, held=ROWS_OF_THE_YEAR)
    assert found == ["run “a run”, weather: was not materialized"]


def test_a_table_that_lacks_a_row_of_the_year_is_a_fault() -> None:
    """Also where every run did what it should."""
    lacking = {**WHOLE, "airlines": TableState(15, snapshot_id=7)}
    assert report.find_faults_of_year(lacking) == [
        "airlines: the table has 15 rows where the year has 16"
    ]


def test_the_table_shows_each_asset_with_each_run_the_total_the_snapshot_and_the_seconds() -> None:
    """And no empty column where a run was the last before something went wrong."""
    runs = [_run("Jan-Jun", dict(ROWS_OF_THE_YEAR)), _run("nothing new", NOTHING)]
    lines = _text(report.build_table(runs, width=120)).splitlines()
    flights = next(line.split() for line in lines if "flights" in line)
    assert flights == ["ingestion__nyc_flights__flights", "336,776", "0", "336,776", "7", "2.0"]
    assert any("Jan-Jun" in line and "nothing new" in line for line in lines)


def test_a_terminal_of_80_columns_shows_every_number_whole() -> None:
    """There the resource's name stands for the asset's key."""
    snapshot = 8_473_584_611_223_344_556
    runs = [_run(title, NOTHING) for title in ("Jan-Jun", "Jul-Dec", "nothing new")]
    last = {k: replace(v, snapshot_id=snapshot) for k, v in runs[-1].loads.items()}
    runs[-1] = replace(runs[-1], loads=last)
    lines = _text(report.build_table(runs, width=80), width=80).splitlines()
    flights = next(line.split() for line in lines if "flights" in line)
    assert flights == ["flights", "0", "0", "0", "336,776", str(snapshot), "3.0"]


def test_a_demo_that_changed_nothing_says_so_and_names_the_command_of_the_ui() -> None:
    """A first demo says what is there instead."""
    said = [_text(line) for line in report.summarize([_run("nothing new", NOTHING)], 9)]
    assert said[0].startswith("Nothing was new, and nothing changed")
    assert "make dev" in said[-1]
    said = [_text(line) for line in report.summarize([_run("all", dict(ROWS_OF_THE_YEAR))], 9)]
    assert "336,776 flights" in said[0]
