"""The commands that change something, from `compact` to `drop-branch`."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import click

from floe_ingestion_defs.cli.failures import Failure, describe
from floe_ingestion_defs.dlt_plugin import ErrorCategory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from floe_ingestion_defs.cli.session import Session
    from floe_ingestion_defs.destinations import Dataset, ExpiryResult
    from floe_ingestion_defs.dlt_plugin.config.models import RewriteExecutor

T = TypeVar("T")

_yes = click.option(
    "--yes", is_flag=True, help="Apply the change; without this option, it is only shown."
)


@click.command(short_help="Combine small data files.")
@click.argument("dataset")
@click.argument("tables", nargs=-1)
@click.option(
    "--executor",
    type=click.Choice(["threads", "ray", "dask"]),
    default="threads",
    show_default=True,
    help="Where files are rewritten: `ray` is the cluster that RAY_ADDRESS names, `dask` that of "
    "DASK_SCHEDULER_ADDRESS.",
)
@click.option(
    "--z-order",
    "columns",
    multiple=True,
    metavar="COLUMN",
    help="Put the rows of combined files in z-order of the columns given so.",
)
@click.option(
    "--rewrite-all", is_flag=True, help="Rewrite all files, also those that are large enough."
)
@click.pass_obj
def compact(
    session: Session,
    dataset: str,
    tables: tuple[str, ...],
    executor: RewriteExecutor,
    columns: tuple[str, ...],
    rewrite_all: bool,
) -> None:
    """Combine the small files of TABLES of DATASET (default: all); `plan` shows what it would do.

    Can run during loads, and changes no row. If one table fails, the others are compacted.
    """
    from floe_ingestion_defs.destinations import CompactionOptions, CompactionResult
    from floe_ingestion_defs.destinations import compact as compact_table

    opened = replace(session.dataset(dataset), rewrite_executor=executor)
    options = CompactionOptions(z_order=columns, rewrite_all=rewrite_all)
    results = _each(session, opened, tables, lambda name: compact_table(opened, name, options))
    rows = [
        {"table": table, **asdict(result or CompactionResult()), "error": _shown(failure)}
        for table, result, failure in results
    ]
    session.show("tables", rows, dataset=dataset)
    _exit_after(failure for _, _, failure in results)


@click.command("rewrite-manifests", short_help="Combine manifests.")
@click.argument("dataset")
@click.argument("tables", nargs=-1)
@click.pass_obj
def rewrite_manifests(session: Session, dataset: str, tables: tuple[str, ...]) -> None:
    """Combine the manifests of TABLES of DATASET (default: all); loads bound their number, too.

    Can run during loads, and changes neither rows nor data files.
    """
    from floe_ingestion_defs.destinations import ManifestsResult
    from floe_ingestion_defs.destinations import rewrite_manifests as rewrite

    opened = session.dataset(dataset)
    results = _each(session, opened, tables, lambda name: rewrite(opened, name))
    rows = [
        {"table": table, **asdict(result or ManifestsResult()), "error": _shown(failure)}
        for table, result, failure in results
    ]
    session.show("tables", rows, dataset=dataset)
    _exit_after(failure for _, _, failure in results)


@click.command(short_help="Expire old snapshots, with their files.")
@click.argument("dataset")
@click.argument("tables", nargs=-1)
@click.option(
    "--older-than",
    "days",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Days since a snapshot was the current one.",
)
@click.option(
    "--keep",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="Number of the newest snapshots to keep.",
)
@_yes
@click.pass_obj
def expire(
    session: Session, dataset: str, tables: tuple[str, ...], days: float, keep: int, yes: bool
) -> None:
    """Count the old snapshots of TABLES of DATASET (default: all); --yes expires them.

    Properties `history.expire.*` of a table take precedence over the options. Files that no other
    snapshot, branch, tag, load or table needs are deleted, a day after they were last current.
    """
    from floe_ingestion_defs.destinations import (
        ExpiryOptions,
        ExpiryResult,
        remove_expired_files,
        shared_tables,
    )
    from floe_ingestion_defs.destinations import expire as expire_snapshots

    opened, options = session.dataset(dataset), ExpiryOptions(timedelta(days=days), keep)
    results = _each(
        session,
        opened,
        tables,
        lambda name: expire_snapshots(opened, name, options, dry_run=not yes),
    )
    rows = [
        {
            "table": table,
            "snapshots_before": (result or ExpiryResult()).snapshots_before,
            "snapshots_expired": (result or ExpiryResult()).snapshots_expired,
            **({} if yes else _freed(result or ExpiryResult())),
            "obstacle": (result or ExpiryResult()).obstacle,
            "error": _shown(failure),
        }
        for table, result, failure in results
    ]
    expired = {table.rpartition(".")[2]: result for table, result, _ in results if result}
    files = remove_expired_files(opened, expired) if yes else []
    deleted = [file for file in files if file.doubt is None]
    because = {file.doubt for file in files if file.doubt}
    planned = {name for name, result in expired.items() if result.snapshots_expired and not yes}
    if planned:
        because = {why for name, why in shared_tables(opened).items() if name in planned}
    session.show(
        "tables",
        rows,
        dataset=dataset,
        files_deleted=len(deleted),
        bytes_deleted=sum(file.bytes for file in deleted),
        files_kept=len(files) - len(deleted),
        kept_because=sorted(because),
    )
    _exit_after(failure for _, _, failure in results)


def _freed(result: ExpiryResult) -> dict[str, int]:
    return {"files_freed": result.files_freed, "bytes_freed": result.bytes_freed}


def _each(
    session: Session, dataset: Dataset, tables: Sequence[str], call: Callable[[str], T]
) -> list[tuple[str, T | None, Failure | None]]:
    """Return for each table its qualified name, and the result of a call or how it failed."""
    results: list[tuple[str, T | None, Failure | None]] = []
    for name in session.tables(dataset, tables):
        table = dataset.qualified(name)
        try:
            results.append((table, call(name), None))
        except Exception as error:
            # A boundary: each table fails by itself, for any error of catalog, storage or rows.
            results.append((table, None, describe(error, session.catalog_name, table)))
    return results


def _shown(failure: Failure | None) -> str | None:
    return f"{failure.category.value}: {failure.reason} {failure.remedy}" if failure else None


def _exit_after(failures: Iterable[Failure | None]) -> None:
    codes = [failure.exit_code for failure in failures if failure is not None]
    if codes:
        raise click.exceptions.Exit(max(codes))


@click.command(short_help="List or delete unreferenced files.")
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


@click.command(short_help="Show why a table is blocked, or release it.")
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
    blocked = blocked_tables(opened)
    if table not in blocked:
        session.tables(opened, [table])
    reason = blocked.get(table)
    moved = release_blocked(opened, table) if yes else 0
    row = {"table": opened.qualified(table), "blocked": reason, "rows_moved": moved}
    session.show("tables", [row], dataset=dataset)


@click.command(short_help="Clone a dataset's tables for a branch.")
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


@click.command("drop-branch", short_help="Drop the tables of a branch.")
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


COMMANDS = (compact, expire, rewrite_manifests, orphans, release, clone, drop_branch)
