"""The commands that only read: `status`, `log` and `plan`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from floe_ingestion_defs.cli.session import Row, Session, is_dlts_own

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations import Dataset


@click.command(short_help="Show tables, watermarks, cursors and health.")
@click.argument("dataset", required=False)
@click.option("--all", "also_dlts", is_flag=True, help="Show dlt's own tables, too.")
@click.pass_obj
def status(session: Session, dataset: str | None, also_dlts: bool) -> None:
    """Show the tables of DATASET, or of all: watermark, last load, size, cursor and health.

    A table's watermark is the number of the newest load that it is published through.
    """
    found = [session.dataset(dataset)] if dataset else session.datasets()
    rows = [row for each in found for row in _tables(each, also_dlts)]
    session.show("tables", rows, catalog=session.catalog_name)


def _tables(dataset: Dataset, also_dlts: bool) -> list[Row]:
    from floe_ingestion_defs.destinations import blocked_tables, stored_cursors

    view = dataset.log.read()
    if view is None:
        return []
    blocked, cursors = blocked_tables(dataset), stored_cursors(dataset)
    pending: dict[str, int] = {}
    for load in view.pending():
        for intent in load.intent.tables:
            if view.is_pending(load.seq, intent.tree):
                pending[intent.table] = max(pending.get(intent.table, 0), load.seq)
    return [
        _table(dataset, name, table, view, pending.get(name, 0), blocked.get(name))
        | {"cursor": _as_text(cursors.get(name, {}))}
        for name, table in sorted(dataset.tables().items())
        if also_dlts or not is_dlts_own(name)
    ]


def _as_text(cursors: Mapping[str, Any]) -> str | None:
    shown = (
        f"{column}={value.isoformat() if isinstance(value, date) else value}"
        for column, value in cursors.items()
    )
    return ", ".join(shown) or None


def _table(
    dataset: Dataset, name: str, table: Table, view: Any, pending: int, blocked: str | None
) -> Row:
    from floe_ingestion_defs.destinations import (
        last_change,
        missing_loads,
        row_count,
        summary_count,
        watermark_of,
    )

    head, change = table.current_snapshot(), last_change(table)
    watermark = watermark_of(table, view.uuid)
    missing = missing_loads(table, view)
    health = "ok"
    if blocked:
        health = f"blocked: {blocked}"
    elif pending > watermark:
        health = f"load {pending} is not published yet; the next load or reader publishes it"
    elif missing:
        health = (
            f"a rollback or a restored backup removed {len(missing)} loads: {', '.join(missing)}; "
            "roll the table forward, or run a full refresh"
        )
    return {
        "table": dataset.qualified(name),
        "rows": row_count(head),
        "files": summary_count(head, "total-data-files"),
        "bytes": summary_count(head, "total-files-size"),
        "snapshots": len(table.metadata.snapshots),
        "watermark": watermark,
        "last_load": change.summary.get("dlt.load-id") if change and change.summary else None,
        "changed_at": datetime.fromtimestamp(change.timestamp_ms / 1000, UTC) if change else None,
        "health": health,
    }


@click.command(short_help="Show the last loads of a dataset.")
@click.argument("dataset")
@click.option(
    "--last", default=20, show_default=True, type=click.IntRange(1), help="Number of loads."
)
@click.pass_obj
def log(session: Session, dataset: str, last: int) -> None:
    """Show the last loads of DATASET, newest first.

    The log has the tables and rows of recent loads only: its compaction leaves them out.
    """
    view = session.dataset(dataset).log.read()
    loads = view.after(max(0, view.last_seq - last)) if view is not None else []
    rows = [
        {
            "seq": load.seq,
            "load": load.load_id,
            "pipeline": load.pipeline_name,
            "committed_at": load.committed_at,
            **_contents(load),
            "state": _state_of(view, load),
        }
        for load in reversed(loads)
    ]
    session.show("loads", rows, dataset=dataset)


def _contents(load: Any) -> Row:
    """Return the tables and rows of a load, None where the log's compaction has left them out."""
    intents = load.intent.tables
    if not load.intent.releases and (not intents or any(each.is_reduced for each in intents)):
        return {"tables": None, "rows": None}
    shown = [each for each in intents if not is_dlts_own(each.table)]
    return {"tables": sorted(i.table for i in shown), "rows": sum(i.rows for i in shown)}


def _state_of(view: Any, load: Any) -> str:
    trees = {intent.tree for intent in load.intent.tables}
    if load.intent.releases:
        return "releases " + ", ".join(f"{r.table} of {r.seq}" for r in load.intent.releases)
    if blocked := sorted(
        tree for tree in trees if load.seq >= view.blocked.get(tree, load.seq + 1)
    ):
        return f"blocked in {', '.join(blocked)}"
    return "settled" if load.seq <= view.settled_seq else "unsettled"


@click.command(short_help="Show what maintenance would do.")
@click.argument("dataset")
@click.argument("tables", nargs=-1)
@click.pass_obj
def plan(session: Session, dataset: str, tables: tuple[str, ...]) -> None:
    """Show what maintenance would do to TABLES of DATASET (default: all); changes nothing.

    Reads metadata, and a sample of the rows of tables with a sort order. A row for each of
    `compact`, `expire` and `rewrite-manifests`: what it counts, how many there are before and after
    it, and the files that it would replace or free, with their size. Files that would be freed are
    kept while another table, such as a clone, uses their folder.
    """
    from floe_ingestion_defs.destinations import shared_tables

    opened = session.dataset(dataset)
    rows = [
        {"table": opened.qualified(name), **step}
        for name in session.tables(opened, tables)
        for step in _steps(opened, name)
    ]
    freed = {row["table"] for row in rows if row["command"] == "expire" and row["files"]}
    shared = shared_tables(opened) if freed else {}
    because = sorted({why for name, why in shared.items() if opened.qualified(name) in freed})
    session.show("plan", rows, dataset=dataset, kept_because=because)


def _steps(dataset: Dataset, table: str) -> Iterator[Row]:
    from floe_ingestion_defs.destinations import expire, plan_compaction, rewrite_manifests

    files = plan_compaction(dataset, table)
    yield {
        "command": "compact",
        "counted": "data files",
        "before": files.files,
        "after": files.files - files.files_removed + files.files_added,
        "files": files.files_removed,
        "bytes": files.bytes,
        "obstacle": files.obstacle,
    }
    snapshots = expire(dataset, table, dry_run=True)
    yield {
        "command": "expire",
        "counted": "snapshots",
        "before": snapshots.snapshots_before,
        "after": snapshots.snapshots_before - snapshots.snapshots_expired,
        "files": snapshots.files_freed,
        "bytes": snapshots.bytes_freed,
        "obstacle": snapshots.obstacle,
    }
    manifests = rewrite_manifests(dataset, table, dry_run=True)
    is_worthwhile = manifests.manifests_after < manifests.manifests_before
    yield {
        "command": "rewrite-manifests",
        "counted": "manifests",
        "before": manifests.manifests_before,
        "after": manifests.manifests_after,
        "files": manifests.manifests_before if is_worthwhile else 0,
        "bytes": manifests.bytes,
        "obstacle": manifests.obstacle,
    }


COMMANDS = (status, log, plan)
