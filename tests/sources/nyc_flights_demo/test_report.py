import io
from dataclasses import replace
from pathlib import Path

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


def test_a_run_that_loads_exactly_the_new_rows_has_no_fault() -> None:
    """All rows on an empty catalog, none on a full one."""
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
            "run “a run”, flights: loaded 1 rows, expected 0",
        ),
        (
            replace(_load("flights", 0), total_rows=336_775),
            "run “a run”, flights: the table has 336,775 rows, expected 336,776",
        ),
        (
            replace(_load("flights", 0), snapshot_id=8),
            "run “a run”, flights: a snapshot was created although nothing was new",
        ),
    ],
)
def test_a_wrong_count_is_reported_with_its_run_its_table_and_the_expected_count(
    load: AssetLoad, fault: str
) -> None:
    """One sentence per difference."""
    run = _run("a run", NOTHING)
    run = replace(run, loads={**run.loads, "flights": load})
    found = report.find_faults_of_run(run, before=WHOLE, new_rows=NOTHING, held=ROWS_OF_THE_YEAR)
    assert found == [fault]


def test_an_asset_that_was_not_materialized_is_a_fault() -> None:
    """A run that leaves an asset out is not a success."""
    run = _run("a run", NOTHING)
    run = replace(run, loads={k: v for k, v in run.loads.items() if k != "weather"})
    found = report.find_faults_of_run(run, before=WHOLE, new_rows=NOTHING, held=ROWS_OF_THE_YEAR)
    assert found == ["run “a run”, weather: was not materialized"]


def test_a_table_that_lacks_a_row_of_the_year_is_a_fault() -> None:
    """Also where every single run was correct."""
    lacking = {**WHOLE, "airlines": TableState(15, snapshot_id=7)}
    assert report.find_faults_of_year(lacking) == [
        "airlines: the table has 15 rows, the year has 16"
    ]


def test_the_table_shows_each_asset_with_its_runs_total_snapshot_and_seconds() -> None:
    """Only runs that took place have a column."""
    runs = [_run("Jan-Jun", dict(ROWS_OF_THE_YEAR)), _run("nothing new", NOTHING)]
    lines = _text(report.build_table(runs, width=120)).splitlines()
    flights = next(line.split() for line in lines if "flights" in line)
    assert flights == ["ingestion__nyc_flights__flights", "336,776", "0", "336,776", "7", "2.0"]
    assert any("Jan-Jun" in line and "nothing new" in line for line in lines)


def test_a_terminal_of_80_columns_truncates_no_number() -> None:
    """It shows the resource's name instead of the asset's key."""
    snapshot = 8_473_584_611_223_344_556
    runs = [_run(title, NOTHING) for title in ("Jan-Jun", "Jul-Dec", "nothing new")]
    last = {k: replace(v, snapshot_id=snapshot) for k, v in runs[-1].loads.items()}
    runs[-1] = replace(runs[-1], loads=last)
    lines = _text(report.build_table(runs, width=80), width=80).splitlines()
    flights = next(line.split() for line in lines if "flights" in line)
    assert flights == ["flights", "0", "0", "0", "336,776", str(snapshot), "3.0"]


def test_the_summary_names_the_command_that_opens_the_ui() -> None:
    """It states that nothing changed, or how many rows were loaded."""
    file = Path("a b.sh")
    said = [_text(line) for line in report.summarize([_run("nothing new", NOTHING)], 9, file)]
    assert said[0].startswith("Nothing was new and nothing changed")
    assert said[1].endswith("source 'a b.sh'\n")
    assert "make dev" in said[-1]
    said = [
        _text(line) for line in report.summarize([_run("all", dict(ROWS_OF_THE_YEAR))], 9, file)
    ]
    assert "336,776 flights" in said[0]
