"""The demo's report: wrong counts, the table of the runs, and a summary."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from dlt_sources.nyc_flights_demo.simulated_systems import settings

if TYPE_CHECKING:
    # Not at run time: dagster and pyiceberg are imported later, while a spinner is shown.
    from dlt_sources.nyc_flights_demo.run import DemoRun, TableState

_WIDE = 110


def find_faults_of_run(
    run: "DemoRun",
    *,
    before: Mapping[str, "TableState"],
    new_rows: Mapping[str, int],
    held: Mapping[str, int],
) -> list[str]:
    """Compare what a run loaded with what it should have loaded.

    Args:
        run: The run.
        before: The state of the tables before the run.
        new_rows: The rows that were new to each table.
        held: The rows that each table should have afterwards.

    Returns:
        A sentence per difference.
    """
    faults = []
    for table in settings.ROWS_OF_THE_YEAR:
        load, where = run.loads.get(table), f"run “{run.title}”, {table}"
        if load is None:
            faults.append(f"{where}: was not materialized")
            continue
        new = new_rows[table]
        if load.rows_loaded != new:
            faults.append(f"{where}: loaded {load.rows_loaded:,} rows, expected {new:,}")
        if load.total_rows != held[table]:
            faults.append(
                f"{where}: the table has {load.total_rows:,} rows, expected {held[table]:,}"
            )
        if new == 0 and load.snapshot_id != before[table].snapshot_id:
            faults.append(f"{where}: a snapshot was created although nothing was new")
    return faults


def find_faults_of_year(tables: Mapping[str, "TableState"]) -> list[str]:
    """Compare the tables with the known row counts of the whole year.

    Returns:
        A sentence per table that differs.
    """
    return [
        f"{name}: the table has {tables[name].rows:,} rows, the year has {rows:,}"
        for name, rows in settings.ROWS_OF_THE_YEAR.items()
        if tables[name].rows != rows
    ]


def build_table(runs: Sequence["DemoRun"], width: int) -> Table:
    """Build the table that the demo prints at its end: one row per asset, one column per run.

    Args:
        runs: The runs, of which the last one materialized every asset.
        width: Width of the terminal in characters; a narrow one shows resource names instead of
            asset keys, so that the snapshot id fits.
    """
    table = Table(
        box=box.SIMPLE_HEAD, title="Rows loaded", title_justify="left", collapse_padding=True
    )
    table.add_column("asset", style="bold", no_wrap=True)
    for run in runs:
        table.add_column(run.title, justify="right")
    table.add_column("total rows", justify="right", style="green")
    table.add_column("snapshot", justify="right", style="cyan", no_wrap=True)
    table.add_column("seconds", justify="right")
    for name, last in runs[-1].loads.items():
        loads = [run.loads.get(name) for run in runs]
        table.add_row(
            last.asset if width >= _WIDE else name,
            *(_rows(load.rows_loaded) if load else "?" for load in loads),
            f"{last.total_rows:,}",
            str(last.snapshot_id),
            f"{sum(load.seconds for load in loads if load):.1f}",
        )
    table.caption = "seconds: total over all runs; assets loaded together share one figure"
    table.caption_justify = "left"
    return table


def _rows(count: int) -> str:
    return f"{count:,}" if count else "[dim]0[/]"


def summarize(runs: Iterable["DemoRun"], seconds: float, environment: Path) -> list[str]:
    """Return a summary of the runs, and the command that opens the UI.

    Args:
        runs: The runs, all of them correct.
        seconds: Duration of the demo.
        environment: The file with the environment variables of the demo.
    """
    loaded = sum(load.rows_loaded for run in runs for load in run.loads.values())
    if loaded:
        rows = settings.ROWS_OF_THE_YEAR
        summary = (
            f"[green]All row counts are correct:[/] {rows['flights']:,} flights, "
            f"{rows['weather']:,} hourly weather observations (no duplicates), "
            f"{rows['planes']:,} planes, {rows['airports']:,} airports, "
            f"{rows['airlines']:,} airlines."
        )
    else:
        summary = (
            "[green]Nothing was new and nothing changed:[/] every run loaded 0 rows, "
            "and every table is still at the same snapshot."
        )
    return [
        f"{summary} ({seconds:.0f} s)",
        "Without make, before `dagster dev`, `dg dev` or `dg launch`: "
        f"[bold]source {escape(shlex.quote(str(environment)))}[/]",
        "Open the Dagster UI: [bold]make dev[/]",
    ]
