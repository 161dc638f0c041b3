"""The command `floe` and how it ends: exit codes, and errors with category, table and remedy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from floe_ingestion_defs.cli import inspect, maintain
from floe_ingestion_defs.cli.dev import dev
from floe_ingestion_defs.cli.doctor import doctor
from floe_ingestion_defs.cli.failures import Failure, describe
from floe_ingestion_defs.cli.session import Session
from floe_ingestion_defs.dlt_plugin import ErrorCategory

if TYPE_CHECKING:
    from collections.abc import Sequence

_JSON = "--json"
_INTERRUPTED = 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 1 permanent failure, 2 configuration or usage, 75 transient.",
)
@click.option(
    "--catalog",
    default="floe",
    show_default=True,
    help="The catalog's name in pyiceberg's configuration.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document; may follow the command."
)
@click.pass_context
def floe(context: click.Context, catalog: str, *, as_json: bool) -> None:
    """Inspect and maintain the Iceberg tables that pipelines load into."""
    session = context.ensure_object(Session)
    session.catalog_name = catalog
    session.as_json = as_json


for command in (*inspect.COMMANDS, *maintain.COMMANDS, doctor, dev):
    floe.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: The command line, by default this process's.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if _JSON in given:
        given = [_JSON, *(argument for argument in given if argument != _JSON)]
    session = Session()
    try:
        # It returns the exit code of `context.exit()`, and None after a command.
        return floe.main(given, prog_name="floe", standalone_mode=False, obj=session) or 0
    except click.ClickException as error:
        if _JSON in given:
            session.as_json = True
            session.show_failure(Failure(error.format_message(), ErrorCategory.CONFIGURATION))
        else:
            error.show()
        return error.exit_code
    except click.Abort:
        return _INTERRUPTED
    except Exception as error:
        # The process boundary: catalogs and stores raise any exception of their drivers.
        failed = describe(error, session.catalog_name)
        session.show_failure(failed)
        return failed.exit_code
