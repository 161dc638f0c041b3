import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import (
    build_ingestion_definitions,
    create_shared_definitions,
)
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

Load = Callable[..., dg.ExecuteInProcessResult]

NEW_YEAR = {"start": "2026-01-01", "end": "2026-01-03"}
DAILY = {"kind": "daily", "start": "2026-01-01"}


def loaded_ids() -> list[int]:
    rows = open_catalog().load_table("bronze.shop_visits").scan().to_arrow()
    return sorted(rows["id"].to_pylist())


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_partition_loads_its_window_and_nothing_else(load: Load, visits: dict[str, Any]) -> None:
    """The start of the partition is in it, the start of the next one is not."""
    metadata = metadata_of(load(partition_key="2026-01-03"))

    assert loaded_ids() == [4, 5]
    assert metadata["dagster/partition_row_count"] == 2


def test_a_partition_that_is_run_again_gives_the_same_table(
    load: Load, visits: dict[str, Any]
) -> None:
    """Nothing is there twice."""
    load(partition_key="2026-01-03")
    load(partition_key="2026-01-04")
    load(partition_key="2026-01-03")

    assert loaded_ids() == [4, 5, 6, 7]


def test_a_partition_drops_rows_that_the_source_no_longer_has(
    load: Load, visits: dict[str, Any], database: sqlite3.Connection
) -> None:
    """Also where there is none left at all."""
    load(partition_key="2026-01-03")
    load(partition_key="2026-01-04")
    database.execute("delete from visits where id in (4, 6, 7)")
    database.commit()

    load(partition_key="2026-01-03")
    empty = load(partition_key="2026-01-04")

    assert loaded_ids() == [5]
    assert metadata_of(empty)["dagster/partition_row_count"] == 0


def test_a_partition_of_a_merge_counts_the_rows_that_the_table_has_in_it(
    load: Load, visits: dict[str, Any], database: sqlite3.Connection
) -> None:
    """A merge updates by key, so the partition can have more rows than were loaded last."""
    visits.update(write_mode="merge", primary_key="id")
    load(partition_key="2026-01-03")
    database.execute("delete from visits where id = 4")
    database.commit()

    metadata = metadata_of(load(partition_key="2026-01-03"))

    assert (metadata["rows_loaded"], metadata["dagster/partition_row_count"]) == (1, 2)


def test_a_backfill_leaves_the_cursor_of_the_incremental_runs_alone(
    load: Load, visits: dict[str, Any], database: sqlite3.Connection
) -> None:
    """A run without a partition continues where the last one without a partition ended."""
    load()
    load(partition_key="2026-01-02")
    database.execute("insert into visits values (20, '2026-01-11 06:00:00.000000')")
    database.commit()

    assert metadata_of(load())["rows_loaded"] == 1
    assert loaded_ids() == list(range(21))


def test_a_backfill_of_a_range_is_one_run_where_it_is_so_configured(
    load: Load, visits: dict[str, Any]
) -> None:
    """The window is then that of the whole range, and the table gets one snapshot."""
    visits["orchestration"] = {"partitions": {**DAILY, "backfill": "range"}}

    result = load(
        tags={
            "dagster/asset_partition_range_start": "2026-01-02",
            "dagster/asset_partition_range_end": "2026-01-04",
        }
    )

    # Each of the three partitions shows what the run says, which is about all of them.
    for event in result.get_asset_materialization_events():
        assert event.materialization.metadata["rows_in_range"].value == 6
        assert "dagster/partition_row_count" not in event.materialization.metadata
    assert loaded_ids() == [2, 3, 4, 5, 6, 7]
    assert len(open_catalog().load_table("bronze.shop_visits").snapshots()) == 1


@pytest.mark.parametrize(
    ("partitions", "key", "ids"),
    [
        ({"kind": "hourly", "start": "2026-01-01"}, "2026-01-01-18:00", [1]),
        ({"kind": "weekly", "start": "2026-01-04"}, "2026-01-04", [*range(6, 20)]),
        ({"kind": "monthly", "start": "2026-01-01"}, "2026-01-01", [*range(20)]),
        ({**DAILY, "timezone": "Asia/Tokyo"}, "2026-01-02", [1, 2]),
        (
            {
                "kind": "static",
                "windows": {"new year": {"start": "2026-01-01", "end": "2026-01-03"}},
            },
            "new year",
            [0, 1, 2, 3],
        ),
    ],
)
def test_partitions_have_the_length_and_the_time_zone_that_are_configured(
    load: Load, visits: dict[str, Any], partitions: dict[str, Any], key: str, ids: list[int]
) -> None:
    """A day in Tokyo begins nine hours before the day in UTC."""
    visits["orchestration"] = {"partitions": partitions}

    load(partition_key=key)

    assert loaded_ids() == ids


def test_a_window_can_be_loaded_from_the_launchpad_without_partitions(
    load: Load, visits: dict[str, Any]
) -> None:
    """A one-off window needs no configuration."""
    visits["orchestration"] = {}
    config = {"ops": {"load_shop": {"config": {"start": "2026-01-02", "end": "2026-01-04"}}}}

    load(run_config=config)
    load(run_config=config)

    assert loaded_ids() == [2, 3, 4, 5]


@pytest.mark.parametrize("option", [{"refresh": True}, {"limit": 1}, {"start": "2026-01-01"}])
def test_a_partition_is_loaded_whole(
    load: Load, visits: dict[str, Any], option: dict[str, Any]
) -> None:
    """Replacing all of its rows by some of them would lose rows."""
    result = load(
        partition_key="2026-01-03",
        run_config={"ops": {"load_shop": {"config": option}}},
        raise_on_error=False,
    )

    assert not result.success
    assert not open_catalog().table_exists("bronze.shop_visits")


def test_a_schedule_loads_the_partition_that_is_complete(visits: dict[str, Any]) -> None:
    """At its tick, yesterday is over."""
    visits["orchestration"] = {"partitions": DAILY, "cron": "15 6 * * *"}
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [visits]}))
    tick = datetime(2026, 3, 2, 6, 15, tzinfo=UTC)

    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=tick,
            repository_def=definitions.get_repository_def(),
        )
        schedule = definitions.get_repository_def().get_schedule_def("ingestion__shop_schedule")
        (request,) = schedule.evaluate_tick(context).run_requests or ()

    assert request.partition_key == "2026-03-01"


def test_a_source_with_partitions_has_a_job_of_its_own(
    shop: dict[str, Any], visits: dict[str, Any]
) -> None:
    """A job has one partitions definition, and `ingestion` has none."""
    crm = {
        "name": "crm",
        "source_type": "sql_database",
        "source_config": {"table_names": ["people"]},
        "destination_table": "bronze.crm_{resource}",
    }
    loaded = build_ingestion_definitions(DltIngestionPlugin({"sources": [visits, crm]}))
    location = dg.Definitions.merge(loaded, create_shared_definitions(loaded))

    (everything,) = location.resolve_job_def("ingestion").asset_layer.executable_asset_keys

    assert everything == dg.AssetKey("ingestion__crm__people")
    assert location.resolve_job_def("ingestion__shop").partitions_def is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cursor_field": None}, "requires a cursor_field"),
        ({"write_mode": "replace"}, "write_mode append or merge"),
        ({"orchestration": {"partitions": {"kind": "daily"}}}, "require a start"),
        ({"orchestration": {"partitions": {"kind": "static"}}}, "take only windows"),
        (
            {
                "orchestration": {
                    "cron": "5 * * * *",
                    "partitions": {
                        "kind": "static",
                        "windows": {"new year": NEW_YEAR},
                    },
                }
            },
            "static partitions have none",
        ),
    ],
)
def test_invalid_partitions_stop_the_location(
    visits: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    """As every wrong setting: the message says what is missing."""
    with pytest.raises(ValueError, match=f"source 'shop'(.|\n)*{said}"):
        build_ingestion_definitions(DltIngestionPlugin({"sources": [{**visits, **change}]}))
