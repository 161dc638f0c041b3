"""What the demo tells a person: what is wrong, the table at its end, and what that means."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from dlt_sources.nyc_flights import settings

if TYPE_CHECKING:
    # At run time this module stays light: dagster and pyiceberg are imported under a spinner.
    from dlt_sources.nyc_flights.demo_run import DemoRun, TableState

_WIDE = 110


def find_faults_of_run(
    run: "DemoRun",
    *,
    before: Mapping[str, "TableState"],
    new_rows: Mapping[str, int],
    held: Mapping[str, int],
) -> list[str]:
    """Compares what a run did with what it should have done.

    Args:
        run: The run.
        before: The tables as they stood before it.
        new_rows: The rows that were new to each table.
        held: The rows that each table should have afterwards.

    Returns:
        A sentence for each thing that is wrong.
    """
    faults = []
    for table in settings.ROWS_OF_THE_YEAR:
        load, where = run.loads.get(table), f"run “{run.title}”, {table}"
        if load is None:
            faults.append(f"{where}: was not materialized")
            continue
        new = new_rows[table]
        if load.rows_loaded != new:
            faults.append(f"{where}: loaded {load.rows_loaded:,} rows where {new:,} were new")
        if load.total_rows != held[table]:
            faults.append(
                f"{where}: the table has {load.total_rows:,} rows where {held[table]:,} are right"
            )
        if new == 0 and load.snapshot_id != before[table].snapshot_id:
            faults.append(f"{where}: a snapshot was made though nothing was new")
    return faults


def find_faults_of_year(tables: Mapping[str, "TableState"]) -> list[str]:
    """Compares the tables with what the whole year is known to hold.

    Returns:
        A sentence for each table that is wrong.
    """
    return [
        f"{name}: the table has {tables[name].rows:,} rows where the year has {rows:,}"
        for name, rows in settings.ROWS_OF_THE_YEAR.items()
        if tables[name].rows != rows
    ]


def build_table(runs: Sequence["DemoRun"], width: int) -> Table:
    """Builds the table at the demo's end: an asset a row, a run a column.

    Args:
        runs: The runs, of which the last one materialized every asset.
        width: Columns of the terminal; a narrow one gets the resource's name for the asset's key,
            so that the snapshot is readable in any case.
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
    table.caption = "seconds: all runs; assets that are loaded together show the same"
    table.caption_justify = "left"
    return table


def _rows(count: int) -> str:
    return f"{count:,}" if count else "[dim]0[/]"


def summarize(runs: Iterable["DemoRun"], seconds: float) -> list[str]:
    """Says in a few lines what the runs came to, and where to look at it.

    Args:
        runs: The runs, all of them right.
        seconds: How long everything took.
    """
    loaded = sum(load.rows_loaded for run in runs for load in run.loads.values())
    if loaded:
        rows = settings.ROWS_OF_THE_YEAR
        said = (
            f"[green]Right to the row:[/] {rows['flights']:,} flights, {rows['weather']:,} hours "
            f"of weather (the source repeats none of them), {rows['planes']:,} planes, "
            f"{rows['airports']:,} airports, {rows['airlines']:,} airlines."
        )
    else:
        said = (
            "[green]Nothing was new, and nothing changed:[/] every run loaded 0 rows, "
            "and every table stands at the snapshot that it stood at before."
        )
    return [f"{said} ({seconds:.0f} s)", "Look at it in Dagster's UI: [bold]make dev[/]"]
