"""Small loads into a real object store, each of whose requests takes a while longer."""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from benchmarks.case import Case
from benchmarks.measure import Measurement, Stopwatch
from benchmarks.report import FLOE, STOCK, Row, at_most, ratio
from benchmarks.sides import Side, hints, make_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.runner import Bench

CatalogType = Literal["SQL", "REST"]
DELAYS_MS = (0, 10, 50)
TABLE = "events"
ROWS = 100
TARGET = 0.6
WORKS = ("first load of", "append to")
_NOTE = (
    "stock dlt keeps its own files beside the tables, which this REST catalog does not allow, so "
    "that its load with a SQL catalog is compared. A first load sends 15 requests to the catalog, "
    "an append of a new process 10, one of them because this catalog rejects names with a leading "
    "underscore; 17 and 21 requests, to the catalog and the store, wait for one another."
)


def compare(bench: Bench) -> list[Row]:
    """Compare a first load and a later one, for each delay and type of catalog."""
    rows = []
    for delay in DELAYS_MS:
        with _delayed_stores(bench, delay / 1000) as stores:
            rows += [
                _row(bench, stores, work, catalog_type, delay)
                for catalog_type in stores
                for work in WORKS
            ]
    return rows


def _row(
    bench: Bench,
    stores: Mapping[CatalogType, Path],
    work: str,
    catalog_type: CatalogType,
    delay: int,
) -> Row:
    def measure(side: Side, catalog_type: CatalogType) -> Measurement:
        return bench.measure(
            f"object-store-{side}",
            load_few_rows,
            bench.repetitions,
            side=side,
            store=stores[catalog_type],
            is_first=work == WORKS[0],
        )

    floe, stock = measure("floe", catalog_type), measure("stock", "SQL")
    limit = TARGET if delay == max(DELAYS_MS) else 1
    share = floe.whole_seconds / stock.whole_seconds
    target = at_most(limit, share, "whole run, relative to stock dlt", ratio)
    title = f"{work} a small table on S3, {catalog_type} catalog, {delay} ms per request"
    note = _NOTE if catalog_type == "REST" and delay == max(DELAYS_MS) else ""
    other = STOCK if catalog_type == "SQL" else f"{STOCK}, SQL catalog"
    return Row(title, {FLOE: floe, other: stock}, [target], note)


@contextmanager
def _delayed_stores(bench: Bench, delay_seconds: float) -> Iterator[dict[CatalogType, Path]]:
    """Run SeaweedFS and a proxy in front of it, in another process than the measured one.

    Yields:
        For each type of catalog, a file with the properties that open it, and the bucket.
    """
    # The servers of the tests, which are located and started in the same way.
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from servers.counting import counting_proxy
    from servers.seaweedfs import PLAIN_BUCKET, running_seaweedfs

    folder = bench.root / "run" / f"seaweedfs-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    with (
        running_seaweedfs(folder) as server,
        counting_proxy(server.s3_endpoint, delay_seconds) as s3,
        counting_proxy(server.catalog_uri, delay_seconds) as catalog,
    ):
        of_type: dict[CatalogType, dict[str, str]] = {
            "SQL": {"type": "sql", **server.s3_properties},
            "REST": server.catalog_properties(catalog.uri),
        }
        stores = {}
        for catalog_type, properties in of_type.items():
            store = stores[catalog_type] = folder / f"{catalog_type}.json"
            properties["s3.endpoint"] = s3.uri
            store.write_text(json.dumps([properties, f"s3://{PLAIN_BUCKET}"]))
        yield stores


def load_few_rows(home: Path, cache: Path, side: Side, store: str, is_first: bool) -> Measurement:
    """Append a few rows, to a new table or to one that a load of another process created.

    Args:
        home: Where a SQL catalog is.
        cache: Unused.
        side: What loads them.
        store: The file with the properties that open the catalog, and the bucket.
        is_first: Whether the table is a new one.
    """
    dataset = f"bench_{uuid4().hex[:8]}"
    properties, bucket = json.loads(Path(store).read_text())
    if properties["type"] == "sql":
        properties["uri"] = f"sqlite:///{home / 'catalog.db'}"
        properties["warehouse"] = f"{bucket}/{dataset}"
    _warm_up(home / "warm", side)
    if not is_first:
        # Forked, so that the measured process has read nothing of it.
        child = os.fork()
        if child == 0:
            _load(home / "earlier", side, properties, bucket, dataset)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            msg = "the earlier load failed"
            raise AssertionError(msg)
    watch = Stopwatch()
    _load(home / "measured", side, properties, bucket, dataset)
    measured = watch.stop()
    from pyiceberg.catalog import load_catalog

    table = load_catalog("bench", **properties).load_table((dataset, TABLE))
    if (found := table.scan().to_arrow().num_rows) != ROWS * (1 if is_first else 2):
        msg = f"{found} rows after the load"
        raise AssertionError(msg)
    return measured


def _warm_up(home: Path, side: Side) -> None:
    """Import all modules that a load needs, without a request to the store."""
    for name in ("pyiceberg.catalog.rest", "s3fs"):
        importlib.import_module(name)
    home.mkdir()
    make_pipeline(side, home, "warm").run(_events([{"id": 1}], side))


def _load(home: Path, side: Side, properties: dict[str, str], bucket: str, dataset: str) -> None:
    import dlt

    destination = (
        _floe(properties) if side == "floe" else _stock(properties, f"{bucket}/{dataset}/files")
    )
    pipeline = dlt.pipeline(
        "small", destination=destination, dataset_name=dataset, pipelines_dir=str(home)
    )
    pipeline.run(_events([{"id": n, "name": f"event {n}"} for n in range(ROWS)], side))


def _events(rows: list[dict[str, Any]], side: Side) -> Any:
    import dlt

    return dlt.resource([rows], name=TABLE, write_disposition="append", **hints(side))


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
