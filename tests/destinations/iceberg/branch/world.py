"""Production and a branch beside it, and a source that both load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import dlt

from floe_ingestion_defs.branch import branch_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from destinations.iceberg.conftest import Lake
    from servers.stack import Stack

Row = dict[str, Any]


def configured(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    return stack


@dataclass
class World:
    """Production, and the branch beside it."""

    stack: Stack
    production: Lake
    monkeypatch: pytest.MonkeyPatch

    def enter_branch(self, name: str = "pr_123") -> Lake:
        """Confine this process to the branch from now on."""
        self.monkeypatch.setenv("FLOE_BRANCH", name)
        return replace(self.production, dataset=branch_namespace(self.production.dataset))

    def leave_branch(self) -> None:
        self.monkeypatch.delenv("FLOE_BRANCH")

    def files(self) -> dict[str, str]:
        """Each file of production's, with a digest of what it holds."""
        folder = self.stack.folder / "floe" / "warehouse"
        return {
            str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pr_" not in str(path.relative_to(folder))
        }

    def pointers(self) -> dict[str, str]:
        """The metadata location of each of production's tables in the catalog."""
        catalog = self.production.catalog
        tables = catalog.list_tables(self.production.dataset)
        return {t[-1]: catalog.load_table(t).metadata_location for t in tables}

    def rows(self) -> dict[str, list[Row]]:
        """Every row of production's."""
        return {name: self.production.rows(name) for name in sorted(self.production.tables())}


def shop(last: int, extracted: list[int] | None = None, *, price: int = 1) -> Any:
    """A source of events up to one, appended by a cursor, and of orders with nested lines."""

    @dlt.source(name="shop")
    def source() -> Iterator[Any]:
        @dlt.resource(write_disposition="append")
        def events(cursor: Any = dlt.sources.incremental("id")) -> Iterator[Row]:  # noqa: B008
            start = cursor.start_value or 0
            for n in range(start + 1, last + 1):
                if extracted is not None:
                    extracted.append(n)
                yield {"id": n, "at": datetime(2026, 1, n, tzinfo=UTC)}

        @dlt.resource(write_disposition="merge", primary_key="id")
        def orders() -> Iterator[Row]:
            for n in range(max(last - 2, 1), last + 1):
                yield {"id": n, "price": price, "lines": [{"item": f"i{n}"}, {"item": "x"}]}

        @dlt.resource(write_disposition="replace")
        def codes() -> Iterator[Row]:
            yield {"code": f"c{last}"}

        yield from (events, orders, codes)

    return source()
