"""How many requests a load sends to an object store and a catalog, counted before real ones."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dlt
import pytest
from cachetools import TTLCache
from dlt.common.destination.client import WithStateSync
from servers.counting import CountingProxy, counting_proxy
from servers.seaweedfs import PLAIN_BUCKET, SeaweedFS
from servers.stack import Stack, rest_stack, sqlite_stack

from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg.catalog.file_memory import FILE_MEMORY
from floe_ingestion_defs.destinations.impl.iceberg.catalog.rest import log_out
from floe_ingestion_defs.destinations.impl.iceberg.commits import own_load
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.log import recent
from floe_ingestion_defs.destinations.impl.iceberg.log.view import forget_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FSSPEC = "pyiceberg.io.fsspec.FsspecFileIO"


def forget_everything() -> None:
    """Forget what this process remembers of catalogs and files, as a new process would."""
    FILE_MEMORY.clear()
    forget_files()
    recent._opened.clear()  # noqa: SLF001
    log_out()


@dataclass
class CountedStack:
    """A catalog with an S3 store, both behind proxies; a SQL catalog sends no requests.

    Attributes:
        stack: The stack.
        store: The proxy in front of the store.
        catalog: The proxy in front of the catalog.
    """

    stack: Stack
    store: CountingProxy
    catalog: CountingProxy

    @property
    def is_rest(self) -> bool:
        """Whether the catalog is a REST catalog."""
        return self.stack.kind == "rest"

    @property
    def is_fsspec(self) -> bool:
        """Whether files are read and written with fsspec."""
        return "py-io-impl" in self.stack.properties

    def pipeline(self, folder: str) -> dlt.Pipeline:
        """A pipeline whose working directory may be a new one."""
        work = str(self.stack.folder / folder)
        return dlt.pipeline("shop", work, destination="iceberg", dataset_name=self.stack.namespace)

    def load(self, *rows: dict[str, int], folder: str = "work", table: str = "events") -> None:
        """Append rows; count from zero."""
        self.store.reset()
        self.catalog.reset()
        self.pipeline(folder).run([list(rows)] if rows else [], table_name=table)

    @property
    def ids(self) -> list[int]:
        """The ids of the rows that are loaded."""
        table = self.stack.catalog().load_table(f"{self.stack.namespace}.events")
        return sorted(table.scan().to_arrow()["id"].to_pylist())


@pytest.fixture(
    params=[
        "sqlite",
        "sqlite by fsspec",
        pytest.param("rest", marks=pytest.mark.rest),
        pytest.param("rest by fsspec", marks=pytest.mark.rest),
    ]
)
def counted(
    request: pytest.FixtureRequest,
    seaweedfs: SeaweedFS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[CountedStack]:
    """A stack of each catalog and each FileIO."""
    kind, _, by_fsspec = request.param.partition(" by ")
    # On a busy machine a state would be older than a second when it is used, and be read again.
    for name in ("READ_AGAIN_SECONDS", "READ_LOG_AGAIN_SECONDS", "CONFIRM_SECONDS"):
        monkeypatch.setattr(own_load, name, 60.0)
    monkeypatch.setattr(recent, "_opened", TTLCache(16, 60.0))
    log_out()
    with ExitStack() as proxies:
        store = proxies.enter_context(counting_proxy(seaweedfs.s3_endpoint))
        catalog = proxies.enter_context(counting_proxy(seaweedfs.catalog_uri))
        if kind == "rest":
            chosen = rest_stack(seaweedfs, tmp_path, catalog.uri)
        else:
            chosen = sqlite_stack(tmp_path)
        properties = {**chosen.properties, **seaweedfs.s3_properties, "s3.endpoint": store.uri}
        if kind == "sqlite":
            properties["warehouse"] = f"s3://{PLAIN_BUCKET}/{chosen.namespace}"
        if by_fsspec:
            properties["py-io-impl"] = FSSPEC
        stack = Stack(chosen.kind, properties, tmp_path, chosen.namespace)
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)
        yield CountedStack(stack, store, catalog)


def test_a_load_sends_few_requests(counted: CountedStack) -> None:
    is_rest, is_fsspec = counted.is_rest, counted.is_fsspec
    # fsspec takes three requests to find that a folder does not exist.
    for number, most_to_store in enumerate([33 if is_fsspec else 25, 14, 14]):
        counted.load({"id": number})
        to_store, to_catalog = counted.store.requests, counted.catalog.requests
        assert len(to_store) <= most_to_store
        uploads = [request for request in to_store if request.startswith("PUT ")]
        assert len(uploads) == len(set(uploads)) >= 7
        # Neither a multipart upload nor a look at what this process has written.
        assert counted.store.methods["POST"] == 0
        assert not [request for request in uploads if "partNumber" in request]
        written = {request.partition(" ")[2] for request in uploads}
        assert not [
            request
            for request in to_store
            if not request.startswith("PUT ") and request.partition(" ")[2] in written
        ]
        # The protocol needs 14 for a first load: login, configuration, a look for the log, the
        # namespace, two for each of four tables, the commit, and the record that it is published.
        # The other one looks for a log under its other name. A later load sends 6.
        assert len(to_catalog) == ((15, 6, 6)[number] if is_rest else 0)
        logins = [request for request in to_catalog if "oauth" in request]
        assert len(logins) == (1 if is_rest and number == 0 else 0)
    assert counted.ids == [0, 1, 2]


def test_a_new_process_reads_each_file_once(counted: CountedStack) -> None:
    counted.load({"id": 1})
    forget_everything()
    counted.load({"id": 2}, folder="another")
    reads = [request for request in counted.store.requests if request.startswith("GET ")]
    assert len(reads) == len(set(reads))
    # PyArrow precedes each file by a request for its size. The stored schema is read as well.
    assert len(counted.store.requests) <= (20 if counted.is_fsspec else 30)
    # Login, configuration, the log, the schema; then what a later load of one process sends
    # without the first look at the log.
    assert len(counted.catalog.requests) == (9 if counted.is_rest else 0)
    assert counted.ids == [1, 2]


def test_a_load_with_nothing_new_sends_two_requests_to_a_rest_catalog(
    counted: CountedStack,
) -> None:
    counted.load({"id": 1})
    counted.load(folder="another")
    assert len(counted.store.requests) + len(counted.catalog.requests) == 2 * counted.is_rest
    assert counted.ids == [1]


def test_a_new_process_with_nothing_new_reads_the_log_and_the_schema(
    counted: CountedStack,
) -> None:
    """As the page on requests states: with PyArrow, two for each file, its size and its content."""
    counted.load({"id": 1})
    counted.load({"id": 2})
    forget_everything()
    counted.load(folder="another")
    # The log: its manifest list, and for each load since its last compaction a manifest and a row;
    # the schema: manifest list, manifest, row. A REST catalog's response contains the metadata.
    files = 1 + 2 * 2 + 3 + (0 if counted.is_rest else 2)
    assert len(counted.store.requests) == (1 if counted.is_fsspec else 2) * files
    assert len(set(counted.store.requests)) == len(counted.store.requests)
    # Login, configuration, the log, the schema.
    assert len(counted.catalog.requests) == (4 if counted.is_rest else 0)


def test_a_new_process_reads_the_schema_while_it_reads_the_log(counted: CountedStack) -> None:
    counted.load({"id": 1})
    forget_everything()
    counted.store.delay_seconds = 0.1
    counted.load(folder="another")
    reads = counted.store.requests
    schema = next(n for n, read in enumerate(reads) if "dlt_version/metadata" in read)
    assert schema < next(n for n, read in enumerate(reads) if "dlt_loads/data" in read)


def test_a_schema_that_was_committed_and_not_published_is_restored(
    counted: CountedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`_dlt_version` is read before the load is published, and once more."""
    counted.load({"id": 1})
    with monkeypatch.context() as patch:
        # As if the process had died after its commit.
        patch.setattr(load_step, "publish_own", lambda *_: None)
        counted.load({"id": 2, "amount": 3})
    forget_everything()
    pipeline = counted.pipeline("another")
    pipeline.sync_destination()
    assert "amount" in pipeline.default_schema.get_table("events")["columns"]
    assert counted.ids == [1, 2]


@pytest.mark.parametrize("counted", [pytest.param("rest", marks=pytest.mark.rest)], indirect=True)
def test_a_schema_that_this_process_has_just_committed_is_found(counted: CountedStack) -> None:
    counted.load({"id": 1})
    pipeline = counted.pipeline("work")
    with pipeline.destination_client() as client:
        assert isinstance(client, WithStateSync)
        client.get_stored_state("shop")
        before = client.get_stored_schema("shop")
        counted.load({"id": 2, "amount": 3})
        after = client.get_stored_schema("shop")
    assert before is not None
    assert after is not None
    assert after.version == before.version + 1
    assert "amount" in after.schema


@pytest.mark.parametrize("counted", ["sqlite", "sqlite by fsspec"], indirect=True)
def test_a_new_process_reads_the_files_of_the_log_at_the_same_time(
    counted: CountedStack,
) -> None:
    for number in range(4):
        counted.load({"id": number})
    forget_everything()
    counted.store.delay_seconds = 0.03
    counted.store.most_open = 0
    counted.load(folder="another")
    assert counted.store.most_open >= 2


@pytest.mark.parametrize("counted", [pytest.param("rest", marks=pytest.mark.rest)], indirect=True)
def test_tables_that_exist_are_found_with_one_request(counted: CountedStack) -> None:
    for table in ("orders", "refunds", "events"):
        counted.load({"id": 1}, table=table)
    counted.catalog.reset()
    dataset = Dataset(counted.stack.catalog(), counted.stack.namespace)
    assert dataset.absent(["orders", "refunds", "events"]) == []
    assert len(counted.catalog.requests) == 1
    assert dataset.absent(["orders", "lost", "events"]) == ["lost"]


@pytest.mark.parametrize(
    "counted", ["sqlite", pytest.param("rest", marks=pytest.mark.rest)], indirect=True
)
def test_tables_of_one_load_are_staged_and_published_at_the_same_time(
    counted: CountedStack,
) -> None:
    """Four requests are open at once; the rows of all tables are there."""
    counted.load({"id": 0})
    counted.store.delay_seconds = counted.catalog.delay_seconds = 0.01
    tables = [f"t{number}" for number in range(30 if counted.is_rest else 6)]
    for proxy in (counted.store, counted.catalog):
        proxy.reset()
        proxy.most_open = 0
    pipeline = counted.pipeline("work")
    pipeline.run([dlt.resource([{"id": 1}], name=name) for name in tables])
    assert max(counted.store.most_open, counted.catalog.most_open) >= 3
    if counted.is_rest:
        # A new table: two looks for a table or a view of its name, staging its creation, and the
        # creation; a listing of its location, and three uploads. Besides them, the log and the
        # new version of the schema.
        assert counted.catalog.most_open >= 3
        assert len(counted.catalog.requests) <= 4 * len(tables) + 8
        assert len(counted.store.requests) <= 4 * len(tables) + 8
    for name in tables:
        table = counted.stack.catalog().load_table(f"{counted.stack.namespace}.{name}")
        assert table.scan().to_arrow()["id"].to_pylist() == [1]


@pytest.mark.parametrize("counted", ["sqlite", "sqlite by fsspec"], indirect=True)
def test_the_files_of_one_commit_are_uploaded_at_the_same_time(counted: CountedStack) -> None:
    """The row of the log with its manifest and its manifest list, and those of the table."""
    counted.load({"id": 0})
    counted.store.delay_seconds = 0.1
    counted.store.most_open = 0
    counted.load({"id": 1})
    assert counted.store.most_open >= 2
    assert counted.ids == [0, 1]


@pytest.mark.parametrize("counted", ["sqlite"], indirect=True)
def test_files_of_one_table_are_staged_at_the_same_time(
    counted: CountedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two uploads are open at once, and the rows of all files are there, in their order."""
    counted.load({"id": 0})
    counted.store.delay_seconds = 0.02
    counted.store.most_open = 0
    monkeypatch.setenv("DATA_WRITER__FILE_MAX_ITEMS", "2")
    counted.load(*({"id": number} for number in range(1, 11)))
    assert counted.store.most_open >= 2
    assert counted.ids == [*range(11)]
    table = counted.stack.catalog().load_table(f"{counted.stack.namespace}.events")
    (entry,) = [m for m in table.inspect.manifests().to_pylist() if m["added_data_files_count"] > 1]
    assert entry["added_data_files_count"] == 5
