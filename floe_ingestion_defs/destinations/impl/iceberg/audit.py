"""Audits: conditions that must hold before any reader can see a load's rows.

An audit is any callable that reads a staged table and yields findings. One finding fails the load,
and tables, schemas and state stay exactly as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.changes.change import window_deletion
from floe_ingestion_defs.destinations.impl.iceberg.changes.outcome import Outcome
from floe_ingestion_defs.destinations.impl.iceberg.changes.staged_table import StagedTable
from floe_ingestion_defs.destinations.impl.iceberg.errors import AuditFailed, Finding

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset


Audit = Callable[[StagedTable], Iterable[Finding]]


def no_null_in_a_key(staged: StagedTable) -> Iterator[Finding]:
    """Find nulls in keys: they match nothing, so every merge would load the rows again."""
    keys = staged.intent.keys
    columns = [
        c for c in dict.fromkeys((*keys.primary_key, *keys.merge_key)) if c in staged.schema.names
    ]
    for name, count in staged.count_nulls(columns).items() if columns else ():
        if count:
            yield Finding(
                "no_null_in_a_key",
                staged.name,
                f"{count} of {staged.rows} rows have a null in this key column. Filter them in the "
                "source, or choose a key that is never null.",
                column=name,
                details={"rows": count},
            )


def rows_in_window(staged: StagedTable) -> Iterator[Finding]:
    """Find rows outside a load's window: the next overwrite would duplicate them."""
    window = staged.intent.window
    if window is None:
        return
    overwritten = window_deletion(staged.metadata, window)
    outside = 0
    for batch in staged.batches([window.column]):
        outside += batch.num_rows - (pc.sum(overwritten.marks(batch)).as_py() or 0)
    if outside:
        yield Finding(
            "rows_in_window",
            staged.name,
            f"{outside} of {staged.rows} rows are not in {window.start} <= {window.column} < "
            f"{window.end}, the window that this load overwrites. Extract only its rows.",
            column=window.column,
            details={"rows": outside},
        )


@dataclass(frozen=True)
class ReplaceGuard:
    """An audit that rejects replacing a table by far fewer rows, as an empty source response would.

    A merge by strategy `cdc` replaces a table too: it deletes the rows that the source lacks.

    Nested tables follow their root, regardless of their rows.

    Attributes:
        min_share: The smallest allowed share of the table's current rows, 0 to 1.
    """

    min_share: float

    def __call__(self, staged: StagedTable) -> Iterator[Finding]:
        """Compare the number of staged rows with the table's current one."""
        is_cdc = staged.intent.strategy == "cdc"
        if staged.is_nested or not (is_cdc or staged.intent.disposition == "replace"):
            return
        present = staged.current_rows
        remaining = Outcome(staged).rows_after if is_cdc else staged.rows
        if remaining < present * self.min_share:
            yield Finding(
                "replace_guard",
                staged.name,
                f"The load would replace {present} rows with {remaining}, fewer than the share "
                f"of {self.min_share} that `replace_min_share` requires. Lower it for a run if the "
                "source really shrank.",
                details={"present_rows": present, "staged_rows": remaining},
            )


BUILT_IN: tuple[Audit, ...] = (no_null_in_a_key, rows_in_window)


def audit(dataset: Dataset, staged: Sequence[StagedTable], audits: Sequence[Audit]) -> None:
    """Run the audits on the staged rows before any reader can see them.

    Raises:
        AuditFailed: An audit found something; all audits have been run.
    """
    findings = [
        finding for table in staged for check in (*BUILT_IN, *audits) for finding in check(table)
    ]
    if findings:
        raise AuditFailed(dataset.name, findings)
