"""Plays the outside world by hand: `python -m dlt_sources.nyc_flights`."""

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from dlt_sources.nyc_flights import settings
from dlt_sources.nyc_flights.analysts import NothingLoadedError, write_delays
from dlt_sources.nyc_flights.original import OriginalDataMissingError
from dlt_sources.nyc_flights.world import OutsideWorld


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The process's exit code.
    """
    parser = _build_parser()
    options = parser.parse_args(arguments)
    world = OutsideWorld(options.world or settings.outside_world_folder())
    try:
        if options.command == "land":
            return _land(world, options.through)
        if options.command == "serve":
            return _serve(world, options.port)
        if options.command == "analyse":
            return _analyse()
        return _show(world)
    except (OriginalDataMissingError, NothingLoadedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dlt_sources.nyc_flights",
        description="Play the outside world of the worked example: New York's flights of 2013.",
    )
    parser.add_argument(
        "--world",
        type=Path,
        metavar="FOLDER",
        help="where the world keeps its files (default: $FLOE_HOME/outside_world)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    land = commands.add_parser("land", help="let the months up to one of them land")
    land.add_argument(
        "--through", type=int, choices=settings.MONTHS, required=True, metavar="MONTH", help="1-12"
    )
    serve = commands.add_parser("serve", help="serve the weather until Ctrl-C")
    serve.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    commands.add_parser("analyse", help="let analysts write silver.delays from the flights")
    commands.add_parser("status", help="say what there is")
    return parser


def _land(world: OutsideWorld, through: int) -> int:
    for path in world.land(through=through):
        print(path)
    return _show(world)


def _show(world: OutsideWorld) -> int:
    months = sorted(world.landed_months)
    print(f"{world.folder}: {len(months)} months have landed")
    if months:
        for table, rows in world.count_rows().items():
            print(f"  {table:<9}{rows:>9,}")
    return 0


def _analyse() -> int:
    # What only this command needs takes a second to import.
    from floe_ingestion_defs.destinations import open_catalog

    print(f"silver.delays: {write_delays(open_catalog())} rows, of an airport's months")
    return 0


def _serve(world: OutsideWorld, port: int) -> int:
    ended = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: ended.set())
    with world.serve(port) as environment:
        for name, value in environment.items():
            print(f"export {name}={shlex.quote(value)}")
        print("# serving the weather; Ctrl-C ends it", flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
