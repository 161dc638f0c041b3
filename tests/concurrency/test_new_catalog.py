"""Several processes open a new SQL catalog at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.sql import SqlCatalog
from servers.stack import Stack, postgres_stack, sqlite_stack

from floe_ingestion_defs.destinations import open_catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.postgres import Postgres

AT_ONCE = 12


def open_several_at_once(new_stack: Callable[[], Stack]) -> None:
    for _ in range(3):
        stack = new_stack()
        barrier = Barrier(AT_ONCE)

        def open_it(
            barrier: Barrier = barrier, properties: Any = stack.properties
        ) -> list[tuple[str, ...]]:
            barrier.wait(30)
            catalog = open_catalog("floe", properties)
            found = catalog.list_namespaces()
            assert isinstance(catalog, SqlCatalog)
            catalog.engine.dispose()
            return found

        with ThreadPoolExecutor(AT_ONCE) as pool:
            opened = [pool.submit(open_it) for _ in range(AT_ONCE)]
            assert [one.result() for one in opened] == [[]] * AT_ONCE


def test_a_new_catalog_in_postgresql_can_be_opened_by_several_at_once(
    postgres: Postgres, tmp_path: Path
) -> None:
    """pyiceberg creates its tables in it; the second process does not fail because they exist."""
    open_several_at_once(lambda: postgres_stack(postgres, tmp_path))


def test_a_new_catalog_in_sqlite_can_be_opened_by_several_at_once(tmp_path: Path) -> None:
    """The same on the embedded catalog, whose folder is not there yet."""
    folders = (tmp_path / str(number) for number in range(3))
    open_several_at_once(lambda: sqlite_stack(next(folders)))
