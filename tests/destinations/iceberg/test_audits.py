"""Audits of the caller's own read the staged rows and end a load before it is visible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pyarrow.compute as pc
import pytest

from floe_ingestion_defs.destinations import Finding, StagedTable
from floe_ingestion_defs.destinations.impl.iceberg.errors import AuditFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.iceberg.conftest import Lake


def no_negative_amount(staged: StagedTable) -> Iterator[Finding]:
    if "amount" not in staged.schema.names:
        return
    negative = sum(pc.sum(pc.less(b["amount"], 0)).as_py() or 0 for b in staged.batches(["amount"]))
    if negative:
        yield Finding("no_negative_amount", staged.name, f"{negative} rows", column="amount")


AUDITED: dict[str, Any] = {"audits": [no_negative_amount]}


def orders(*amounts: int) -> Any:
    @dlt.resource(name="orders")
    def rows(at: Any = CURSOR) -> Any:
        yield [{"at": n, "amount": a, "tags": ["x"]} for n, a in enumerate(amounts, start=1)]

    return rows()


CURSOR = dlt.sources.incremental("at", initial_value=0)


def test_rows_that_pass_are_published(lake: Lake) -> None:
    """An audit without findings changes nothing."""
    lake.load(orders(1, 2), options=AUDITED)
    assert lake.values("orders", "amount") == [1, 2]


@pytest.mark.also_on_rest
def test_a_finding_ends_the_load(lake: Lake) -> None:
    """The error carries the findings; tables, schemas, log and cursor are as they were."""
    lake.load(orders(1), options=AUDITED)
    before = {t: lake.table(t).metadata_location for t in (*lake.tables(), "_dlt_loads")}
    error = lake.rejected([{"at": 2, "amount": -1, "new": 1}], table_name="orders", options=AUDITED)
    assert isinstance(error, AuditFailed)
    (finding,) = error.findings
    assert (finding.audit, finding.table, finding.column) == (
        "no_negative_amount", f"{lake.dataset}.orders", "amount"
    )  # fmt: skip
    assert f"{lake.dataset}.orders.amount: 1 rows" in str(error)
    assert {t: lake.table(t).metadata_location for t in before} == before


def test_a_rejected_load_does_not_move_the_cursor(lake: Lake) -> None:
    """Once the source is repaired, the same rows are extracted again."""
    lake.load(orders(1), options=AUDITED)
    lake.rejected(orders(1, -2), options=AUDITED)
    lake.load(orders(1, 2), options=AUDITED)
    assert lake.values("orders", "amount") == [1, 2]


def test_all_audits_are_run(lake: Lake) -> None:
    """One error names everything that is wrong."""

    def no_table(staged: StagedTable) -> Iterator[Finding]:
        if staged.resource == "orders":
            yield Finding("no_table", staged.name, "is here")

    error = lake.rejected(orders(-1), options={"audits": [no_negative_amount, no_table]})
    assert isinstance(error, AuditFailed)
    assert sorted((f.audit, f.table) for f in error.findings) == [
        ("no_negative_amount", "lake.orders"),
        ("no_table", "lake.orders"),
        ("no_table", "lake.orders__tags"),
    ]


def test_an_audit_sees_the_existing_rows(lake: Lake) -> None:
    """The number of present rows, of staged rows, and what the load does to the table."""
    seen: dict[str, tuple[int, int, str]] = {}

    def look(staged: StagedTable) -> Iterator[Finding]:
        seen[staged.name] = (staged.current_rows, staged.rows, staged.intent.disposition)
        yield from ()

    lake.load(orders(1, 2, 3))
    lake.load([{"at": 9}], table_name="orders", write_disposition="replace",
              options={"audits": [look]})  # fmt: skip
    assert seen["lake.orders"] == (3, 1, "replace")
    assert seen["lake.orders__tags"] == (3, 0, "replace")
