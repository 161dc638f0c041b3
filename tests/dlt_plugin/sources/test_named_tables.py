"""A resource whose rows name their tables, as dlt's source of GitHub's events, is one resource."""

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import (
    DestinationWriteError,
    DltIngestionPlugin,
    LoadResult,
    PipelineConfigurationError,
    SchemaContractViolation,
)

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]

EVENTS: list[dict[str, Any]] = []


def event(number: int, kind: str, **payload: Any) -> dict[str, Any]:
    return {"id": str(number), "type": kind, "created_at": f"2026-01-0{number}", **payload}


@dlt.source
def github(is_lambda: bool = True) -> Any:
    @dlt.resource(primary_key="id", write_disposition="append")
    def repo_events(
        last: Any = dlt.sources.incremental("created_at", initial_value="2026-01-01"),  # noqa: B008
    ) -> Iterator[Any]:
        if is_lambda:
            yield EVENTS
        for row in EVENTS if not is_lambda else ():
            yield dlt.mark.with_table_name(row, row["type"])

    if is_lambda:
        repo_events.apply_hints(table_name=lambda row: row["type"])
    return repo_events


@pytest.fixture(params=[True, False], ids=["lambda", "with_table_name"])
def events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return {
        "name": "github",
        "source_type": "python",
        "source_config": {
            "factory": "test_named_tables:github",
            "arguments": {"is_lambda": request.param},
            "resource_names": ["repo_events"],
        },
        "destination_table": "bronze.{resource}",
    }


@pytest.fixture
def offer(events: Source, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the events of the source; the plugin imports this file under another name."""
    module = importlib.import_module("test_named_tables")
    return lambda *rows: monkeypatch.setattr(module, "EVENTS", list(rows))


FIRST = (event(1, "PushEvent", size=1), event(2, "ForkEvent", forks=[{"n": 1}]))


def test_each_table_is_loaded_and_part_of_the_result(
    events: Source, offer: Any, load: Load, rows: Rows, tables: Callable[[], set[str]]
) -> None:
    offer(*FIRST)
    assert load(events).rows_loaded == 3  # With the nested one.
    offer(*FIRST, event(3, "PushEvent", size=2), event(4, "StarEvent"))
    found = load(events).resources["repo_events"]
    assert tables() == {
        "bronze.push_event",
        "bronze.fork_event",
        "bronze.fork_event__forks",
        "bronze.star_event",
    }
    assert [row["size"] for row in rows("bronze.push_event")] == [1, 2]
    assert (found.rows_loaded, found.total_rows) == (2, 4)
    assert {t.table: (t.rows_loaded, t.total_rows) for t in found.named_tables} == {
        "bronze.fork_event": (0, 1),
        "bronze.push_event": (1, 2),
        "bronze.star_event": (1, 1),
    }
    assert all(t.snapshot_id for t in found.named_tables)


def test_freeze_holds_for_each_table_and_for_new_ones(
    events: Source, offer: Any, load: Load, rows: Rows
) -> None:
    frozen = {**events, "schema_contract": "freeze"}
    offer(*FIRST)
    load(frozen)
    for table, column, row in (
        ("push_event", "more", event(3, "PushEvent", more=1)),
        ("star_event", "", event(3, "StarEvent")),
    ):
        offer(row)
        with pytest.raises(SchemaContractViolation) as failed:
            load(frozen)
        assert (failed.value.table, failed.value.column) == (table, column)
    offer(event(3, "PushEvent", size=2))
    load(frozen)
    assert [row["size"] for row in rows("bronze.push_event")] == [1, 2]


def test_rows_that_are_rejected_are_counted(
    events: Source, offer: Any, load: Load, rows: Rows, tables: Callable[[], set[str]]
) -> None:
    strict = {**events, "schema_contract": "discard_row", "quarantine": True}
    offer(*FIRST)
    load(strict)
    bad = [event(3, "PushEvent", more=1), event(4, "StarEvent"), event(5, "ForkEvent", size=1)]
    offer(*bad, event(6, "PushEvent", size=3))
    rejected = load(strict).resources["repo_events"].rejected
    assert dict(rejected.rows_by_reason) == {
        "column more is new": 1,
        "table star_event is new": 1,
        "column size is new": 1,
    }
    assert [row["size"] for row in rows("bronze.push_event")] == [1, 3]
    assert "bronze.star_event" not in tables()
    stored = sorted(json.loads(row["row"])["id"] for row in rows("bronze.repo_events__rejected"))
    assert stored == ["3", "4", "5"]
    plugin = DltIngestionPlugin({"sources": [strict]})
    with pytest.raises(PipelineConfigurationError, match="name their tables"):
        plugin.replay_quarantined(plugin.source("github"))


def test_a_table_that_is_gone_is_reported(events: Source, offer: Any, load: Load) -> None:
    offer(*FIRST)
    load(events)
    open_catalog().drop_table("bronze.push_event")
    with pytest.raises(DestinationWriteError, match=r"bronze\.push_event does not exist"):
        load(events)
