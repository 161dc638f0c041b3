"""What `make demo` runs: the code location's job, three times, on a world that moves on.

January to June have landed, then July to December, then nothing is new. Every run must load
exactly the rows that are new since the one before, and the year must be complete at the end.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dlt_sources.nyc_flights import demo_report, settings
from dlt_sources.nyc_flights.local_instance import prepare_local_instance
from dlt_sources.nyc_flights.original import OriginalDataMissingError
from dlt_sources.nyc_flights.world import OutsideWorld

if TYPE_CHECKING:
    from dlt_sources.nyc_flights.demo_run import DemoRun, ShowProgress, TableState

# The last month that lands before each run, and the run's title.
_RUNS = ((6, "Jan-Jun"), (12, "Jul-Dec"), (12, "nothing new"))

_WIDTH_OF_A_LOG = 120
_EXIT_CODE_OF_SIGINT = 130


def main() -> int:
    """Runs the demo.

    Returns:
        The process's exit code: 0 if every number is right.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_LOG
    started = time.monotonic()
    prepare_local_instance()
    world = OutsideWorld()
    try:
        with world.serve() as environment:
            os.environ.update(environment)
            runs, faults = _play(console, world)
    except OriginalDataMissingError as error:
        console.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. The next `make demo` goes on from the last committed load.")
        return _EXIT_CODE_OF_SIGINT
    if runs:
        console.print(demo_report.build_table(runs, console.width))
    for fault in faults:
        console.print(f"[red]wrong:[/] {escape(fault)}", soft_wrap=True)
    if faults:
        console.print("The runs with their logs stand in Dagster's UI: [bold]make dev[/]")
        return 1
    for line in demo_report.summarize(runs, time.monotonic() - started):
        console.print(line)
    return 0


def _play(console: Console, world: OutsideWorld) -> tuple[list["DemoRun"], list[str]]:
    """Plays the three acts, up to the first that goes wrong."""
    with console.status("Loading Dagster, dlt and the code location"):
        from dlt_sources.nyc_flights.demo_run import (
            RunFailedError,
            keep_quiet,
            load_job,
            read_tables,
            run_job,
        )

        keep_quiet()
        job, before = load_job(), read_tables()
    runs: list[DemoRun] = []
    for through, title in _RUNS:
        world.land(through=through)
        held, new_rows = world.count_rows(), _count_new_rows(world, before)
        try:
            with _progress(console, title) as show:
                run = run_job(job, title, show)
        except RunFailedError as error:
            return runs, [f"run “{title}” failed\n{error}"]
        runs.append(run)
        faults = demo_report.find_faults_of_run(run, before=before, new_rows=new_rows, held=held)
        if faults:
            return runs, faults
        before = read_tables()
    return runs, demo_report.find_faults_of_year(before)


def _count_new_rows(world: OutsideWorld, tables: dict[str, "TableState"]) -> dict[str, int]:
    """Counts what the world holds that the tables do not: also a row that somebody has edited."""
    new = {name: rows - tables[name].rows for name, rows in world.count_rows().items()}
    for name in settings.REFERENCE_TABLES:
        new[name] = world.count_updates(name, after=tables[name].newest_update)
    return new


@contextmanager
def _progress(console: Console, title: str) -> Iterator["ShowProgress"]:
    """Shows a line that fills as tables are done; without a terminal, a line for each table."""
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn(f"{title:<12}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed}/{task.total} tables"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.description}"),
    )
    shown: list[str] = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(settings.ROWS_OF_THE_YEAR))

        def show(done: list[str]) -> None:
            progress.update(task, completed=len(done), description=", ".join(done[-1:]))
            if not console.is_terminal:
                for name in done[len(shown) :]:
                    console.print(f"{title}: {name} done")
                shown[:] = done

        yield show


if __name__ == "__main__":
    sys.exit(main())
