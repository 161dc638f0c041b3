"""A PostgreSQL database of each test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg2
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.postgres import Postgres


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    return postgres.url(postgres.new_database())


@pytest.fixture
def execute(database_url: str) -> Iterator[Callable[[str], None]]:
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor.execute
    connection.close()
