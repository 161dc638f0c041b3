"""Command of the simulated systems: `python -m dlt_sources.nyc_flights_demo.simulated_systems`."""

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from dlt_sources.nyc_flights_demo.simulated_systems import landing, settings
from dlt_sources.nyc_flights_demo.simulated_systems.analysts import NothingLoadedError, write_delays
from dlt_sources.nyc_flights_demo.simulated_systems.original import OriginalDataMissingError
from dlt_sources.nyc_flights_demo.simulated_systems.systems import SimulatedSystems


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The process's exit code.
    """
    parser = _build_parser()
    options = parser.parse_args(arguments)
    systems = SimulatedSystems(options.folder or settings.simulated_systems_folder())
    try:
        if options.command == "land":
            return _land(systems, options.through)
        if options.command == "serve":
            return _serve(systems, options.port)
        if options.command == "analyse":
            return _analyse()
        if options.command == "break":
            return _break(systems)
        if options.command == "repair":
            return _repair(systems)
        return _show(systems)
    except (OriginalDataMissingError, NothingLoadedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dlt_sources.nyc_flights_demo.simulated_systems",
        description="Simulate the source systems of the worked example.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="FOLDER",
        help="where the systems keep their files (default: $FLOE_HOME/simulated_systems)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    land = commands.add_parser("land", help="land the flights from January through a month")
    land.add_argument(
        "--through", type=int, choices=settings.MONTHS, required=True, metavar="MONTH", help="1-12"
    )
    serve = commands.add_parser("serve", help="serve the weather API until Ctrl-C")
    serve.add_argument("--port", type=int, default=0, help="0 (the default) selects a free port")
    commands.add_parser(
        "analyse", help="write silver.delays from the loaded flights, as analysts would"
    )
    commands.add_parser("break", help="land a file that violates the contract of the flights")
    commands.add_parser("repair", help="delete the file that violates the contract")
    commands.add_parser("status", help="show the landed months and the rows of each table")
    return parser


def _land(systems: SimulatedSystems, through: int) -> int:
    for path in systems.land(through=through):
        print(path)
    return _show(systems)


def _show(systems: SimulatedSystems) -> int:
    months = sorted(systems.landed_months)
    print(f"{systems.folder}: {len(months)} months have landed")
    if months:
        for table, rows in systems.count_rows().items():
            print(f"  {table:<9}{rows:>9,}")
    return 0


def _analyse() -> int:
    # Only this command needs pyiceberg, which takes a second to import.
    from floe_ingestion_defs.destinations import open_catalog

    print(f"silver.delays: {write_delays(open_catalog())} rows, one per airport and month")
    return 0


_BROKEN = """\
Landed {file}: it has a column `gate`, which the contract of the flights does not have.
In the UI (make dev), materialize ingestion__nyc_flights__flights:
  - the run fails with a SchemaContractViolation that names the column and the remedy;
  - the check `schema_contract` of the asset failed, with the column in its metadata;
  - the table has as many rows as before: nothing was published.
Then: make demo-repair"""

_REPAIRED = """\
Deleted the file. Materialize ingestion__nyc_flights__flights again: the run succeeds, and the check
passes. To accept the column instead, run make demo-break again, and add `gate: text` to `columns`
in floe_ingestion_defs/defs/nyc_flights/defs.yaml."""


def _break(systems: SimulatedSystems) -> int:
    print(_BROKEN.format(file=landing.land_breaking_file(systems.landing)))
    return 0


def _repair(systems: SimulatedSystems) -> int:
    removed = landing.remove_breaking_file(systems.landing)
    print(_REPAIRED if removed else "No file violates the contract: nothing to delete.")
    return 0


def _serve(systems: SimulatedSystems, port: int) -> int:
    ended = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: ended.set())
    with systems.serve(port) as environment:
        for name, value in environment.items():
            print(f"export {name}={shlex.quote(value)}")
        print("# serving the weather; press Ctrl-C to stop", flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
