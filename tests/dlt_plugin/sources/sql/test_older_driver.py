"""The oldest supported driver, whose wheel is the newest that is compiled with optimization."""

import os
import subprocess
import sys

from servers.engines import python_packages
from servers.postgres import Postgres

DRIVER = "adbc-driver-postgresql==1.8.0"
# importlib_resources is what that version needs in addition.
PACKAGES = (DRIVER, "importlib-resources==6.5.2")
READ = """
import sys
import adbc_driver_postgresql.dbapi
from floe_ingestion_defs.dlt_plugin.errors.categories import categorize_error
from floe_ingestion_defs.dlt_plugin.sources.sql.adbc import fetch

print(adbc_driver_postgresql.__version__)
with adbc_driver_postgresql.dbapi.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    try:
        print(sum(table.num_rows for table in fetch(cursor, sys.argv[2])))
    except OSError as error:
        print(categorize_error(error).name)
"""
ROWS = "FROM generate_series(1, 200000) n"


def test_the_oldest_driver_reads_rows_and_reports_a_lost_connection(postgres: Postgres) -> None:
    """As a failure that is retried, though it raises another exception than later versions."""
    folder = python_packages("adbc", *PACKAGES)
    ending = f"SELECT CASE n WHEN 150000 THEN pg_terminate_backend(pg_backend_pid()) END {ROWS}"
    found = []
    for query in (f"SELECT n {ROWS}", ending):
        done = subprocess.run(
            [sys.executable, "-c", READ, postgres.url(postgres.new_database()), query],
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(done.stdout.split())
    assert found == [["1.8.0", "200000"], ["1.8.0", "TRANSIENT"]]
