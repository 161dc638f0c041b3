"""Small loads into a real object store, each of whose requests takes a while longer."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from benchmarks.case import Case
from benchmarks.measure import Measurement
from benchmarks.report import FLOE, STOCK, Row, at_most, ratio
from benchmarks.sides import SIDES, Side, hints, import_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.runner import Bench

CatalogType = Literal["SQL", "REST"]
DELAYS_MS = (0, 10, 50)
TABLE = "events"
ROWS = 100
TARGET = 0.6


@dataclass(frozen=True)
class Store:
    """The servers of a measurement.

    Attributes:
        catalog_type: Where the tables are.
        properties: The pyiceberg properties that open the catalog and the store.
        bucket: Where a SQL catalog has its tables, and stock dlt its files.
    """

    catalog_type: CatalogType
    properties: Mapping[str, str]
    bucket: str


def compare(bench: Bench) -> list[Row]:
    """Compare a first load and a later one, for each delay and type of catalog."""
    rows = []
    for catalog_type in ("SQL", "REST"):
        for delay in DELAYS_MS:
            with _delayed_store(bench, catalog_type, delay / 1000) as store:
                for work in ("first load of", "append to"):
                    rows.append(_row(bench, store, work, delay))
    return rows


def _row(bench: Bench, store: Store, work: str, delay: int) -> Row:
    found = {
        side: bench.measure(
            f"object-store-{side}",
            load_few_rows,
            bench.repetitions,
            side=side,
            properties=store.properties,
            bucket=store.bucket,
            is_first=work == "first load of",
        )
        for side in SIDES
    }
    share = found["floe"].whole_seconds / found["stock"].whole_seconds
    # The issue is the number of requests, which is what takes the time when they are slow.
    targets = [
        at_most(TARGET if delay == max(DELAYS_MS) else 1, share, "whole run of stock dlt's", ratio)
    ]
    title = f"{work} a small table on S3, {store.catalog_type} catalog, {delay} ms per request"
    return Row(title, {FLOE: found["floe"], STOCK: found["stock"]}, targets)


@contextmanager
def _delayed_store(
    bench: Bench, catalog_type: CatalogType, delay_seconds: float
) -> Iterator[Store]:
    """Run SeaweedFS and a proxy in front of it, in another process than the measured one."""
    # The servers of the tests, which are located and started in the same way.
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from servers.counting import counting_proxy
    from servers.seaweedfs import BUCKET, PLAIN_BUCKET, running_seaweedfs

    folder = bench.root / "run" / f"seaweedfs-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    with (
        running_seaweedfs(folder) as server,
        counting_proxy(server.s3_endpoint, delay_seconds) as s3,
        counting_proxy(server.catalog_uri, delay_seconds) as catalog,
    ):
        if catalog_type == "REST":
            properties, bucket = server.catalog_properties(catalog.uri), BUCKET
        else:
            properties, bucket = {"type": "sql", **server.s3_properties}, PLAIN_BUCKET
        yield Store(catalog_type, {**properties, "s3.endpoint": s3.uri}, f"s3://{bucket}")


def load_few_rows(
    home: Path, cache: Path, side: Side, properties: dict[str, str], bucket: str, is_first: bool
) -> Measurement:
    """Append a few rows, to a new table or to one that a load of another process created.

    Args:
        home: Where a SQL catalog is.
        cache: Unused.
        side: What loads them.
        properties: See `Store`.
        bucket: See `Store`.
        is_first: Whether the table is a new one.
    """
    dataset = f"bench_{uuid4().hex[:8]}"
    if properties["type"] == "sql":
        properties = {
            **properties,
            "uri": f"sqlite:///{home / 'catalog.db'}",
            "warehouse": f"{bucket}/{dataset}",
        }
    import_all(side)
    if not is_first:
        # Forked, so that the measured process has read nothing of it.
        child = os.fork()
        if child == 0:
            _load(home / "earlier", side, properties, bucket, dataset)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            msg = "the earlier load failed"
            raise AssertionError(msg)
    started = time.perf_counter()
    _load(home / "measured", side, properties, bucket, dataset)
    seconds = time.perf_counter() - started
    from pyiceberg.catalog import load_catalog

    table = load_catalog("bench", **properties).load_table((dataset, TABLE))
    if (found := table.scan().to_arrow().num_rows) != ROWS * (1 if is_first else 2):
        msg = f"{found} rows after the load"
        raise AssertionError(msg)
    return Measurement(None, seconds)


def _load(home: Path, side: Side, properties: dict[str, str], bucket: str, dataset: str) -> None:
    import dlt

    destination = (
        _floe(properties) if side == "floe" else _stock(properties, f"{bucket}/{dataset}/files")
    )
    pipeline = dlt.pipeline(
        "small", destination=destination, dataset_name=dataset, pipelines_dir=str(home)
    )
    rows = [{"id": n, "name": f"event {n}"} for n in range(ROWS)]
    pipeline.run(dlt.resource([rows], name=TABLE, write_disposition="append", **hints(side)))


def _floe(properties: dict[str, str]) -> Any:
    from floe_ingestion_defs.destinations import iceberg

    return iceberg(catalog_name="bench", catalog_properties=properties)


def _stock(properties: dict[str, str], bucket_url: str) -> Any:
    from dlt.destinations import filesystem

    os.environ["ICEBERG_CATALOG__ICEBERG_CATALOG_NAME"] = "bench"
    os.environ["ICEBERG_CATALOG__ICEBERG_CATALOG_TYPE"] = properties["type"]
    os.environ["ICEBERG_CATALOG__ICEBERG_CATALOG_CONFIG"] = json.dumps(properties)
    credentials = {
        "aws_access_key_id": properties["s3.access-key-id"],
        "aws_secret_access_key": properties["s3.secret-access-key"],
        "endpoint_url": properties["s3.endpoint"],
        "region_name": properties["s3.region"],
    }
    return filesystem(bucket_url=bucket_url, credentials=credentials)


CASES = [Case("object-store", compare)]
