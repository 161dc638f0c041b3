"""A table that cannot be loaded or published to blocks its own tree, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    BadRequestError,
    ForbiddenError,
    NoSuchIcebergTableError,
    TableAlreadyExistsError,
)

from floe_ingestion_defs.destinations import (
    blocked_tables,
    missing_loads,
    release_blocked,
    unpublished_loads,
)
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg import recover
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import NotPublishable, TableStillBlocked
from floe_ingestion_defs.destinations.impl.iceberg.intent import LoadIntent
from floe_ingestion_defs.destinations.impl.iceberg.log import compaction
from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

Spoil = Callable[[Any, pytest.MonkeyPatch], None]

RELEASE = "`floe release lake orders --yes`"


def dataset_of(lake: Any) -> Dataset:
    return Dataset(lake.catalog, lake.dataset)


def read(dataset: Dataset) -> LogView:
    view = dataset.log.read()
    assert view is not None
    return view


@contextmanager
def unpublished() -> Iterator[None]:
    """Loads in the block commit and do not publish, as if their process had died."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        yield


def upgrade(lake: Any, _: pytest.MonkeyPatch) -> None:
    path = Path(lake.table("orders").metadata_location.removeprefix("file://"))
    metadata = {**json.loads(path.read_text()), "format-version": 3, "next-row-id": 0}
    path.write_text(json.dumps(metadata))


def delete_metadata(lake: Any, _: pytest.MonkeyPatch) -> None:
    Path(lake.table("orders").metadata_location.removeprefix("file://")).unlink()


def answer(error: Exception, *calls: str) -> Spoil:
    """The catalog answers calls about the table with an error; the far edge of a real server."""

    def spoil(_: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def spoiled(call: str) -> Callable[..., Any]:
            original = getattr(SqlCatalog, call)

            def method(self: SqlCatalog, table: Any, *arguments: Any, **keywords: Any) -> Any:
                name = table if isinstance(table, str | tuple) else table.name()
                if SqlCatalog.identifier_to_tuple(name)[-1] == "orders":
                    raise error
                return original(self, table, *arguments, **keywords)

            return method

        for call in calls:
            monkeypatch.setattr(SqlCatalog, call, spoiled(call))

    return spoil


CAUSES: dict[str, Spoil] = {
    "format version 3": upgrade,
    "missing metadata file": delete_metadata,
    "forbidden": answer(ForbiddenError("no"), "load_table", "commit_table"),
    "forbidden to commit": answer(ForbiddenError("no"), "commit_table"),
    "bad request": answer(BadRequestError("no"), "commit_table"),
    "name of a view": answer(TableAlreadyExistsError("a view"), "commit_table"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_table_that_cannot_be_published_blocks_itself_alone_until_it_is_released(
    cause: str, lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dataset_of(lake)
    if cause != "name of a view":
        lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
    CAUSES[cause](lake, monkeypatch)

    lake.load([{"id": 1}], table_name="refunds")
    lake.load([{"id": 1}], table_name="visits", pipeline="web")
    assert lake.values("refunds", "id") == lake.values("visits", "id") == [1]

    (message,) = blocked_tables(dataset).values()
    assert RELEASE in message
    assert ("Grant permission to write to" in message) == cause.startswith("forbidden")
    assert read(dataset).unsettled() == []
    assert len(read(dataset).pending()) >= 1

    assert release_blocked(dataset, "orders") == 1
    assert blocked_tables(dataset) == {}
    assert lake.values("orders____blocked", "id") == [2]
    assert read(dataset).pending() == []
    assert release_blocked(dataset, "orders") == 0


def test_a_table_does_not_lack_a_load_that_was_released(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its watermark could not be advanced, and after the log's compaction."""
    lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
    CAUSES["forbidden to commit"](lake, monkeypatch)
    lake.load([{"id": 1}], table_name="refunds")
    assert release_blocked(dataset_of(lake), "orders") == 1
    monkeypatch.setattr(compaction, "COMPACT_AFTER_FILES", 1)
    for number in (2, 3):
        view = read(dataset_of(lake))
        assert missing_loads(lake.table("orders"), view) == []
        assert (
            unpublished_loads(dataset_of(lake), view, {"lake.orders": lake.table("orders")}) == {}
        )
        lake.load([{"id": number}], table_name="refunds")


def test_a_load_to_a_blocked_table_is_rejected_before_its_commit_and_names_the_command(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
    CAUSES["bad request"](lake, monkeypatch)
    lake.load([{"id": 1}], table_name="refunds")
    before = read(dataset_of(lake)).last_seq
    error = lake.rejected([{"id": 3}], table_name="orders")
    assert isinstance(error, TableStillBlocked)
    assert RELEASE in str(error)
    assert read(dataset_of(lake)).last_seq == before
    monkeypatch.undo()


@pytest.mark.parametrize("how", [{"write_disposition": "replace"}, {"refresh": "drop_data"}])
def test_a_load_that_starts_a_table_empty_supersedes_what_is_blocked(
    how: dict[str, Any], lake: Any
) -> None:
    """Nothing has to be released, and the rows that were blocked are in no table."""
    lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
    dataset = dataset_of(lake)
    (staged,) = next(i for i in read(dataset).unsettled()[0].intent.tables if i.rows == 1).files
    Path(staged.path.removeprefix("file://")).unlink()
    lake.load([{"id": 1}], table_name="refunds")
    assert blocked_tables(dataset).keys() == {"orders"}
    lake.load([{"id": 3}], table_name="orders", **how)
    assert lake.values("orders", "id") == [3]
    assert blocked_tables(dataset) == {}
    assert read(dataset).pending() == []
    assert lake.tables() == {"orders", "refunds"}


def test_the_quarantine_of_a_table_is_none_of_its_nested_tables(lake: Any) -> None:
    """A list `blocked` of its rows is in `orders__blocked`."""
    lake.load([{"id": 1, "blocked": [{"n": 1}]}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2, "blocked": [{"n": 2}]}], table_name="orders")
    with pytest.MonkeyPatch.context() as patch:
        CAUSES["bad request"](lake, patch)
        assert release_blocked(dataset_of(lake), "orders") == 1
    assert lake.values("orders____blocked", "id") == [2]
    assert lake.values("orders__blocked", "n") == [1, 2]


def test_a_load_into_the_name_of_a_table_of_another_format_is_rejected(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a Hive metastore or Glue, which also have tables that are not of Iceberg, answers."""
    lake.load([{"id": 1}], table_name="refunds")
    before = read(dataset_of(lake)).last_seq
    answer(NoSuchIcebergTableError("a table of Hive"), "load_table")(lake, monkeypatch)
    error = lake.rejected([{"id": 1}], table_name="orders")
    assert isinstance(error, NotPublishable)
    assert "not an Iceberg table" in str(error)
    assert read(dataset_of(lake)).last_seq == before
    lake.load([{"id": 2}], table_name="refunds")
    assert lake.values("refunds", "id") == [1, 2]


def test_a_blocked_table_that_is_repaired_is_published_by_its_next_load(lake: Any) -> None:
    lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
    with pytest.MonkeyPatch.context() as patch:
        CAUSES["forbidden to commit"](lake, patch)
        lake.load([{"id": 1}], table_name="refunds")
        assert blocked_tables(dataset_of(lake)).keys() == {"orders"}
    lake.load([{"id": 3}], table_name="orders")
    assert lake.values("orders", "id") == [1, 2, 3]
    assert blocked_tables(dataset_of(lake)) == {}


def test_a_process_without_permission_to_a_table_leaves_it_to_the_others(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It publishes its own loads, records nothing against the table, and is not stopped by it."""
    lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
    monkeypatch.setattr(recover, "OTHERS_AFTER", timedelta(0))
    with pytest.MonkeyPatch.context() as patch:
        CAUSES["forbidden"](lake, patch)
        lake.load([{"id": 1}], table_name="visits", pipeline="web")
        assert lake.values("visits", "id") == [1]
        assert blocked_tables(dataset_of(lake)) == {}
        monkeypatch.setattr(recover, "BLOCKED_AFTER", timedelta(0))
        lake.load([{"id": 2}], table_name="visits", pipeline="web")
        assert blocked_tables(dataset_of(lake)).keys() == {"orders"}
    assert lake.values("orders", "id") == [1]
    assert release_blocked(dataset_of(lake), "orders") == 0
    assert lake.values("orders", "id") == [1, 2]


def test_an_opener_leaves_the_young_loads_of_other_pipelines_alone(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has a load of its own to publish to the same table."""
    lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recover, "publish", lambda *_: {})
            lake.load([{"id": 3}], table_name="orders", pipeline="merger")
    dataset = dataset_of(lake)
    recover.open_dataset(dataset, "web")
    assert lake.values("orders", "id") == [1]
    recover.open_dataset(dataset, "shop")
    assert lake.values("orders", "id") == [1, 2]
    monkeypatch.setattr(recover, "OTHERS_AFTER", timedelta(0))
    recover.open_dataset(dataset, "web")
    assert lake.values("orders", "id") == [1, 2, 3]


def test_a_settled_load_is_not_replayed_while_a_table_is_blocked(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that a user dropped stays dropped, whatever is opened, loaded or released."""
    lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
    dataset = dataset_of(lake)
    with pytest.MonkeyPatch.context() as patch:
        CAUSES["bad request"](lake, patch)
        lake.load([{"id": 1}], table_name="refunds")
        dataset.catalog.drop_table(dataset.identifier("refunds"))
        monkeypatch.setattr(recover, "OTHERS_AFTER", timedelta(0))
        lake.load([{"id": 1}], table_name="visits", pipeline="web")
        release_blocked(dataset, "orders")
    assert "refunds" not in lake.tables()
    lake.load([{"id": 7}], table_name="refunds")
    assert lake.values("refunds", "id") == [7]


def test_what_a_load_costs_does_not_grow_with_the_loads_since_a_table_is_blocked(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the catalog's answers and in what the log holds of the settled loads."""
    lake.load([{"id": 1}], table_name="refunds")
    first = read(dataset_of(lake)).after(0)[0]
    (template,) = (table for table in first.intent.tables if table.table == "refunds")
    lake.load([{"id": 1}], table_name="orders")
    with unpublished():
        lake.load([{"id": 2}], table_name="orders")
    dataset = dataset_of(lake)
    requests: list[str] = []
    for call in ("load_table", "commit_table"):
        original = getattr(SqlCatalog, call)

        def counted(
            self: SqlCatalog, *arguments: Any, _original: Any = original, **keywords: Any
        ) -> Any:
            requests.append(_original.__name__)
            return _original(self, *arguments, **keywords)

        monkeypatch.setattr(SqlCatalog, call, counted)
    CAUSES["bad request"](lake, monkeypatch)
    recover.open_dataset(dataset, "shop")
    assert blocked_tables(dataset).keys() == {"orders"}

    (staged,) = template.files
    costs, sizes = [], []
    for number in range(60):
        path = staged.path.replace(".parquet", f"-{number}.parquet")
        shutil.copy(staged.path.removeprefix("file://"), path.removeprefix("file://"))
        intent = template.model_copy(update={"files": (staged.model_copy(update={"path": path}),)})
        requests.clear()
        recover.open_dataset(dataset, "shop")
        view = read(dataset)
        load = Load(
            str(number),
            uuid4().hex,
            "shop",
            "hash",
            "shop",
            LoadIntent(tables=(intent,)),
            seq=view.last_seq + 1,
        )
        view = dataset.log.append(view, load)
        load_step.publish_own(dataset, load, view)
        costs.append(len(requests))
        rows = read(dataset).table.scan(selected_fields=("intent",)).to_arrow()
        sizes.append(sum(len(intent or "") for intent in rows["intent"].to_pylist()))
    assert max(costs[30:]) <= max(costs[:30])
    assert max(sizes[30:]) <= max(sizes[:30])
    assert len(lake.rows("refunds")) == 61
