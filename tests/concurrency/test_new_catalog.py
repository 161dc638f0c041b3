"""Several at once open a SQL catalog that nobody has opened before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from servers.postgres import Postgres
from servers.stack import postgres_stack

from floe_ingestion_defs.destinations.iceberg.catalog import open_catalog

AT_ONCE = 12


def test_a_new_catalog_in_postgresql_can_be_opened_by_several_at_once(
    postgres: Postgres, tmp_path: Path
) -> None:
    """pyiceberg creates its tables in it; whoever comes second is not told that they exist."""
    for _ in range(3):
        stack = postgres_stack(postgres, tmp_path)
        barrier = Barrier(AT_ONCE)

        def open_it(barrier: Barrier = barrier, properties=stack.properties) -> list[object]:
            barrier.wait(30)
            catalog = open_catalog("floe", properties)
            found = catalog.list_namespaces()
            catalog.engine.dispose()
            return found

        with ThreadPoolExecutor(AT_ONCE) as pool:
            opened = [pool.submit(open_it) for _ in range(AT_ONCE)]
            assert [one.result() for one in opened] == [[]] * AT_ONCE
