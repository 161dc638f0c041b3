"""`make demo`: run the code location's job three times while the source systems receive data.

First January to June have landed, then July to December, then nothing is new. Every run must load
exactly the rows that are new since the previous one, and the year must be complete at the end.
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

from dlt_sources.nyc_flights_demo import report
from dlt_sources.nyc_flights_demo.local_instance import prepare_local_instance, write_environment
from dlt_sources.nyc_flights_demo.simulated_systems import settings
from dlt_sources.nyc_flights_demo.simulated_systems.original import OriginalDataMissingError
from dlt_sources.nyc_flights_demo.simulated_systems.systems import SimulatedSystems
from floe_ingestion_defs.cli.only_once import AlreadyRunningError, only_once

if TYPE_CHECKING:
    from dlt_sources.nyc_flights_demo.run import DemoRun, ShowProgress, TableState

# The last month that lands before each run, and the run's title.
_RUNS = ((6, "Jan-Jun"), (12, "Jul-Dec"), (12, "nothing new"))

_WIDTH_OF_A_LOG = 120
_EXIT_CODE_OF_SIGINT = 130


def main() -> int:
    """Run the demo.

    Returns:
        The process's exit code: 0 if every count is correct.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_LOG
    try:
        with only_once("demo", settings.floe_home()):
            return _run_demo(console)
    except AlreadyRunningError as error:
        console.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 1


def _run_demo(console: Console) -> int:
    started = time.monotonic()
    prepare_local_instance()
    systems = SimulatedSystems()
    environment_file = write_environment(systems)
    try:
        with systems.serve() as environment:
            os.environ.update(environment)
            runs, faults = _run_all(console, systems)
    except OriginalDataMissingError as error:
        console.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. The next `make demo` continues from the last committed load.")
        return _EXIT_CODE_OF_SIGINT
    if runs:
        console.print(report.build_table(runs, console.width))
    for fault in faults:
        console.print(f"[red]error:[/] {escape(fault)}", soft_wrap=True)
    if faults:
        console.print("See the runs and their logs in the Dagster UI: [bold]make dev[/]")
        return 1
    for line in report.summarize(runs, time.monotonic() - started, environment_file):
        console.print(line, soft_wrap=True)
    return 0


def _run_all(console: Console, systems: SimulatedSystems) -> tuple[list["DemoRun"], list[str]]:
    """Run the job three times, or until a run is wrong."""
    with console.status("Loading Dagster, dlt and the code location"):
        from dlt_sources.nyc_flights_demo.run import (
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
        systems.land(through=through)
        held, new_rows = systems.count_rows(), _count_new_rows(systems, before)
        try:
            with _progress(console, title) as show:
                run = run_job(job, title, show)
        except RunFailedError as error:
            return runs, [f"run “{title}” failed\n{error}"]
        runs.append(run)
        faults = report.find_faults_of_run(run, before=before, new_rows=new_rows, held=held)
        if faults:
            return runs, faults
        before = read_tables()
    return runs, report.find_faults_of_year(before)


def _count_new_rows(systems: SimulatedSystems, tables: dict[str, "TableState"]) -> dict[str, int]:
    """Count the rows that are new to each table; an updated reference row counts too."""
    new = {name: rows - tables[name].rows for name, rows in systems.count_rows().items()}
    for name in settings.REFERENCE_TABLES:
        new[name] = systems.count_updates(name, after=tables[name].newest_update)
    return new


@contextmanager
def _progress(console: Console, title: str) -> Iterator["ShowProgress"]:
    """Show a progress bar of the loaded tables; without a terminal, one line per table."""
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
