import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import (
    build_ingestion_definitions,
    create_ingestion_job,
    create_shared_definitions,
)
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

MakePlugin = Callable[..., DltIngestionPlugin]


def schedule_of(plugin: DltIngestionPlugin) -> dg.ScheduleDefinition:
    definitions = build_ingestion_definitions(plugin)
    schedule = definitions.get_repository_def().get_schedule_def("ingestion__shop_schedule")
    assert isinstance(schedule, dg.ScheduleDefinition)
    return schedule


def test_a_source_has_one_job_that_loads_all_of_it(make_plugin: MakePlugin) -> None:
    """The job loads every resource of the source, and nothing else."""
    definitions = build_ingestion_definitions(make_plugin())

    job = definitions.get_repository_def().get_job("ingestion__shop")

    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {
        "ingestion__shop__orders",
        "ingestion__shop__customers",
    }
    assert job.tags["floe/source"] == "shop"


def test_the_launchpad_of_a_source_shows_every_option_with_its_default(
    make_plugin: MakePlugin, load: Callable[..., dg.ExecuteInProcessResult]
) -> None:
    """A user edits a value instead of looking up its name; a run of some assets needs none."""
    job = build_ingestion_definitions(make_plugin()).resolve_job_def("ingestion__shop")
    options = {"refresh": False, "start": None, "end": None, "limit": None}
    assert job.run_config == {
        "ops": {"load_shop": {"config": {**options, "replay_quarantined": False}}}
    }
    assert len(load().get_asset_materialization_events()) == 2
    (orders,) = load(dg.AssetKey("ingestion__shop__orders")).get_asset_materialization_events()
    assert orders.asset_key == dg.AssetKey("ingestion__shop__orders")


def test_a_source_without_a_cron_has_no_schedule(make_plugin: MakePlugin) -> None:
    """Nothing runs automatically unless it is configured to."""
    definitions = build_ingestion_definitions(make_plugin())

    assert list(definitions.get_repository_def().schedule_defs) == []


def test_a_schedule_reads_its_cron_in_the_configured_time_zone(make_plugin: MakePlugin) -> None:
    """Six in the morning is six where the business is."""
    schedule = schedule_of(make_plugin(cron="15 6 * * *", cron_timezone="Europe/Berlin"))

    assert (schedule.cron_schedule, schedule.execution_timezone) == ("15 6 * * *", "Europe/Berlin")


@pytest.mark.parametrize(
    ("orchestration", "status"),
    [
        ({}, dg.DefaultScheduleStatus.STOPPED),
        ({"default_status": "stopped"}, dg.DefaultScheduleStatus.STOPPED),
        ({"default_status": "running"}, dg.DefaultScheduleStatus.RUNNING),
    ],
)
def test_a_schedule_is_off_unless_the_configuration_turns_it_on(
    make_plugin: MakePlugin, orchestration: dict[str, str], status: dg.DefaultScheduleStatus
) -> None:
    """A fresh deployment loads nothing before the operator turns a schedule on."""
    assert schedule_of(make_plugin(cron="5 * * * *", **orchestration)).default_status == status


def test_a_schedule_is_off_in_a_branch_deployment(
    make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pull request must not begin to load by itself, whatever production does."""
    monkeypatch.setenv("DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT", "1")

    schedule = schedule_of(make_plugin(cron="5 * * * *", default_status="running"))

    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


def test_a_tick_requests_one_run_tagged_with_source_and_cause(make_plugin: MakePlugin) -> None:
    """The run key is the tick's time, so a tick that is evaluated twice runs once."""
    schedule = schedule_of(make_plugin(cron="5 * * * *"))
    tick = datetime(2026, 3, 1, 4, 5, tzinfo=UTC)

    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=tick)
        (request,) = schedule.evaluate_tick(context).run_requests or ()

    assert request.run_key == "shop@2026-03-01T04:05:00+00:00"
    assert request.tags["floe/source"] == "shop"
    assert request.tags["floe/cause"] == "schedule"


def test_the_job_ingestion_loads_every_source_and_nothing_else(make_plugin: MakePlugin) -> None:
    """It does not select assets that dlt does not load."""

    @dg.asset
    def report() -> None: ...

    definitions = dg.Definitions.merge(
        build_ingestion_definitions(make_plugin()),
        dg.Definitions(assets=[report], jobs=[create_ingestion_job()]),
    )

    job = definitions.get_repository_def().get_job("ingestion")

    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {
        "ingestion__shop__orders",
        "ingestion__shop__customers",
    }


@pytest.mark.parametrize(
    ("orchestration", "condition"),
    [
        ({"automation_condition": "eager"}, dg.AutomationCondition.eager()),
        (
            {
                "automation_condition": "on_cron",
                "cron": "5 * * * *",
                "cron_timezone": "Asia/Tokyo",
            },
            dg.AutomationCondition.on_cron("5 * * * *", "Asia/Tokyo"),
        ),
    ],
)
def test_automation_takes_the_place_of_a_schedule(
    make_plugin: MakePlugin,
    orchestration: dict[str, Any],
    condition: dg.AutomationCondition[dg.AssetKey],
) -> None:
    """With an automation condition there is no schedule beside it that loads the same again."""
    definitions = build_ingestion_definitions(make_plugin(**orchestration))

    graph = definitions.resolve_asset_graph()
    conditions = [graph.get(key).automation_condition for key in graph.materializable_asset_keys]
    assert [each and each.get_label() for each in conditions] == [condition.get_label()] * 2
    assert list(definitions.get_repository_def().schedule_defs) == []


def test_on_missing_loads_what_was_never_loaded_and_has_not_failed(
    shop: dict[str, Any], database: sqlite3.Connection, instance: dg.DagsterInstance
) -> None:
    """Also where it was missing before the first evaluation, which Dagster's condition ignores."""
    shop["orchestration"] = {"automation_condition": "on_missing"}
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
    job = definitions.resolve_job_def("ingestion__shop")
    orders, customers = (
        dg.AssetKey(f"ingestion__shop__{name}") for name in ("orders", "customers")
    )
    cursor: Any = None

    def requested() -> set[dg.AssetKey]:
        nonlocal cursor
        result = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
        cursor = result.cursor
        return {key for key in (orders, customers) if result.get_num_requested(key)}

    assert requested() == {orders, customers}
    job.execute_in_process(instance=instance, asset_selection=[orders])
    assert requested() == {customers}
    database.execute("drop table customers")
    job.execute_in_process(instance=instance, asset_selection=[customers], raise_on_error=False)
    assert requested() == set()


def test_on_missing_loads_each_partition_that_was_never_loaded(make_plugin: MakePlugin) -> None:
    """Not the last one alone."""
    partitions = {"kind": "monthly", "start": "2026-01-01", "end": "2026-04-01"}
    plugin = make_plugin(automation_condition="on_missing", partitions=partitions)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.evaluate_automation_conditions(build_ingestion_definitions(plugin), instance)

    assert result.total_requested == 2 * 3


def test_on_cron_fires_when_its_time_has_come(make_plugin: MakePlugin) -> None:
    """The external asset in the source system, which is never materialized, is not waited for."""
    plugin = make_plugin(automation_condition="on_cron", cron="0 * * * *")
    definitions = build_ingestion_definitions(plugin)

    with dg.DagsterInstance.ephemeral() as instance:
        before = dg.evaluate_automation_conditions(
            definitions, instance, evaluation_time=datetime(2026, 3, 1, 4, 55, tzinfo=UTC)
        )
        after = dg.evaluate_automation_conditions(
            definitions,
            instance,
            evaluation_time=datetime(2026, 3, 1, 5, 5, tzinfo=UTC),
            cursor=before.cursor,
        )

    assert (before.total_requested, after.total_requested) == (0, 2)


@pytest.mark.parametrize(
    ("orchestration", "status"),
    [
        ({}, dg.DefaultScheduleStatus.STOPPED),
        ({"cron": "5 * * * *", "default_status": "running"}, dg.DefaultScheduleStatus.RUNNING),
    ],
)
def test_freshness_is_checked_even_if_nothing_is_loaded(
    make_plugin: MakePlugin, orchestration: dict[str, str], status: dg.DefaultScheduleStatus
) -> None:
    """A check that runs with loads only never finds a source that silently stopped."""
    plugin = make_plugin(checks={"freshness": {"fail_after": "1d"}}, **orchestration)
    loaded = build_ingestion_definitions(plugin)

    shared = create_shared_definitions(loaded)

    (schedule,) = shared.schedules or []
    job = dg.Definitions.merge(loaded, shared).resolve_job_def("ingestion_freshness")
    assert schedule.default_status == status
    assert [node.name for node in job.nodes] == ["check_shop"]


def test_the_schedule_of_freshness_finds_a_source_that_silently_stopped(
    shop: dict[str, Any], database: sqlite3.Connection, instance: dg.DagsterInstance
) -> None:
    """Its tick requests a run that checks every table and loads none."""
    shop["columns"] = {"updated_at": "timestamp"}
    shop["orchestration"] = {"checks": {"freshness": {"clock": "cursor", "fail_after": "1d"}}}
    loaded = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
    location = dg.Definitions.merge(loaded, create_shared_definitions(loaded))
    location.resolve_job_def("ingestion__shop").execute_in_process(instance=instance)
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 3, 1, 4, 15, tzinfo=UTC),
        repository_def=location.get_repository_def(),
    )
    schedule = location.get_repository_def().get_schedule_def("ingestion_freshness_schedule")

    (request,) = schedule.evaluate_tick(context).run_requests or ()
    result = location.resolve_job_def("ingestion_freshness").execute_in_process(
        instance=instance, raise_on_error=False, tags=request.tags
    )

    found = [(each.check_name, each.passed) for each in result.get_asset_check_evaluations()]
    assert request.tags["floe/cause"] == "freshness"
    assert found == [("freshness", False)] * 2
    assert result.get_asset_materialization_events() == []


def test_without_freshness_checks_there_is_no_schedule_for_them(make_plugin: MakePlugin) -> None:
    """A schedule without checks would have nothing to run."""
    shared = create_shared_definitions(
        build_ingestion_definitions(make_plugin(checks={"freshness": False}))
    )

    assert list(shared.schedules or []) == []
