"""The commands that change something, from `compact` to `drop-branch`."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from floe_ingestion_defs.cli.failures import Failure, describe
from floe_ingestion_defs.dlt_plugin import ErrorCategory

if TYPE_CHECKING:
    from floe_ingestion_defs.cli.session import Row, Session
    from floe_ingestion_defs.destinations import Dataset
    from floe_ingestion_defs.dlt_plugin.config.models import RewriteExecutor

_yes = click.option(
    "--yes", is_flag=True, help="Apply the change; without this option, it is only shown."
)


@click.command()
@click.argument("dataset")
@click.argument("tables", nargs=-1)
@click.option(
    "--executor",
    type=click.Choice(["threads", "ray"]),
    default="threads",
    show_default=True,
    help="Where files are rewritten; `ray` is the cluster that RAY_ADDRESS names.",
)
@click.pass_obj
def compact(
    session: Session, dataset: str, tables: tuple[str, ...], executor: RewriteExecutor
) -> None:
    """Combine the small files of TABLES of DATASET (default: all); `plan` shows what it would do.

    Can run during loads, and changes no row. If one table fails, the others are compacted.
    """
    opened = replace(session.dataset(dataset), rewrite_executor=executor)
    rows: list[Row] = []
    failures = []
    for name in session.tables(opened, tables):
        row, failure = _compact(session, opened, name)
        rows.append(row)
        failures += [failure] if failure else []
    session.show("tables", rows, dataset=dataset)
    if failures:
        raise click.exceptions.Exit(max(failure.exit_code for failure in failures))


def _compact(session: Session, dataset: Dataset, name: str) -> tuple[Row, Failure | None]:
    from floe_ingestion_defs.destinations import CompactionResult
    from floe_ingestion_defs.destinations import compact as compact_table

    table, failure, result = dataset.qualified(name), None, CompactionResult()
    try:
        result = compact_table(dataset, name)
    except Exception as error:
        # A boundary: each table fails by itself, for any error of catalog, storage or rows.
        failure = describe(error, session.catalog_name, table)
    shown = f"{failure.category.value}: {failure.reason} {failure.remedy}" if failure else None
    return {"table": table, **asdict(result), "error": shown}, failure


@click.command()
@click.argument("dataset")
@click.option(
    "--older-than", "days", default=3.0, show_default=True, type=float, help="Minimum age in days."
)
@click.option("--also", "doubtful", multiple=True, help="Path of a doubtful orphan to delete.")
@_yes
@click.pass_obj
def orphans(
    session: Session, dataset: str, days: float, doubtful: tuple[str, ...], yes: bool
) -> None:
    """List the unreferenced files of the tables of DATASET; --yes deletes them.

    Doubtful files, such as those that another program may own, are kept unless --also names them.
    """
    from floe_ingestion_defs.destinations import remove_orphans

    if yes and days < 1:
        msg = "--older-than must be at least 1 with --yes: loads may commit them."
        raise click.UsageError(msg)
    found = remove_orphans(
        session.dataset(dataset), timedelta(days=days), dry_run=not yes, also_delete=doubtful
    )
    rows = [
        {
            "path": orphan.path,
            "bytes": orphan.bytes,
            "modified": orphan.modified,
            "deleted": yes and (orphan.doubt is None or orphan.path in doubtful),
            "doubt": orphan.doubt,
        }
        for orphan in found
    ]
    session.show("orphans", rows, dataset=dataset, bytes=sum(orphan.bytes for orphan in found))


@click.command()
@click.argument("dataset")
@click.argument("table")
@_yes
@click.pass_obj
def release(session: Session, dataset: str, table: str, yes: bool) -> None:
    """Publish what is pending for TABLE, and move rows that do not fit to TABLE____blocked.

    Without --yes, show whether the table is blocked, and why.
    """
    from floe_ingestion_defs.destinations import blocked_tables, release_blocked

    opened = session.dataset(dataset)
    reason = blocked_tables(opened).get(table)
    moved = release_blocked(opened, table) if yes else 0
    row = {"table": opened.qualified(table), "blocked": reason, "rows_moved": moved}
    session.show("tables", [row], dataset=dataset)


@click.command()
@click.argument("dataset")
@click.pass_obj
def clone(session: Session, dataset: str) -> None:
    """Clone the tables of DATASET for the branch that this process is confined to.

    No data is copied. The first load of a branch does so, too; an existing clone is kept.
    """
    from floe_ingestion_defs.destinations import clone_branch

    cloned = clone_branch(session.catalog, session.dataset(dataset).name)
    rows = [{"table": cloned.qualified(name)} for name in session.tables(cloned, ())]
    session.show("tables", rows, dataset=cloned.name)


@click.command("drop-branch")
@_yes
@click.pass_obj
def drop_branch(session: Session, yes: bool) -> None:
    """Drop the tables of the branch that this process is confined to; production keeps its own."""
    from floe_ingestion_defs.destinations import drop_branch as drop

    if not yes:
        msg = "Nothing was dropped: the command drops all tables of the branch."
        raise Failure(
            msg,
            ErrorCategory.CONFIGURATION,
            "Run it again with --yes.",
        )
    session.show("datasets", [{"dropped": name} for name in drop(session.catalog)])


COMMANDS = (compact, orphans, release, clone, drop_branch)
