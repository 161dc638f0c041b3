import json
import sqlite3
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_wiring.failure_sensor import evaluate_failure_sensor
from servers.loopback import serving

from floe_ingestion_defs.dagster_wiring import (
    build_ingestion_definitions,
    create_shared_definitions,
)
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

MakePlugin = Callable[..., DltIngestionPlugin]
Look = Callable[[], dg.SensorResult]


@pytest.fixture
def look(landing: Path) -> Look:
    """Evaluates the sensor of a source over the landing folder, keeping its cursor."""
    source = {
        "name": "files",
        "source_type": "filesystem",
        "source_config": {"bucket_url": str(landing), "file_glob": "*.csv", "format": "csv"},
        "destination_table": "bronze.files",
        "orchestration": {"new_files_every": "1m"},
    }
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [source]}))
    sensor = definitions.resolve_sensor_def("ingestion__files_new_files")
    cursor: list[str | None] = [None]

    def evaluate() -> Any:
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(
                instance=instance,
                cursor=cursor[0],
                repository_def=definitions.get_repository_def(),
            )
            result = sensor.evaluate_tick(context)
        cursor[0] = result.cursor
        return result

    return evaluate


def test_a_burst_of_files_is_one_run(look: Look, landing: Path) -> None:
    """The run starts once no more files arrive, and loads all of them."""
    (landing / "a.csv").write_text("id\n1\n")
    assert look().run_requests == []
    (landing / "b.csv").write_text("id\n2\n")
    assert look().run_requests == []

    (request,) = look().run_requests or ()

    assert request.tags["floe/source"] == "files"
    assert request.tags["floe/cause"] == "new files"


def test_files_are_loaded_once(look: Look, landing: Path) -> None:
    """An unchanged folder requests no run."""
    (landing / "a.csv").write_text("id\n1\n")
    requested = [len(look().run_requests or ()) for _ in range(5)]

    assert requested == [0, 1, 0, 0, 0]


def test_a_file_that_changes_is_a_new_file(look: Look, landing: Path) -> None:
    """An export that was repeated under the same name is loaded again."""
    (landing / "a.csv").write_text("id\n1\n")
    first = [request.run_key for _ in range(2) for request in look().run_requests or ()]
    (landing / "a.csv").write_text("id\n1\n2\n")

    second = [request.run_key for _ in range(2) for request in look().run_requests or ()]

    assert len(first) == len(second) == 1
    assert first != second


def test_files_that_arrived_while_the_sensor_was_off_are_found(look: Look, landing: Path) -> None:
    """The cursor says what was loaded, not when the sensor last ran."""
    (landing / "a.csv").write_text("id\n1\n")
    look()
    look()
    for name in ("b", "c", "d"):
        (landing / f"{name}.csv").write_text("id\n9\n")

    assert [len(look().run_requests or ()) for _ in range(3)] == [0, 1, 0]


def test_only_sources_of_files_have_new_files(make_plugin: MakePlugin) -> None:
    """The message says what to use instead."""
    with pytest.raises(ValueError, match=r"source 'shop'.*sql_database.*use a cron"):
        build_ingestion_definitions(make_plugin(new_files_every="1m"))


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A real server on loopback, and what was sent to it."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with serving(Handler) as url:
        yield f"{url}/hook", received


def run_and_tell(definitions: dg.Definitions, job: str, instance: dg.DagsterInstance) -> Any:
    """Run a job that fails, and let the failure sensor see it."""
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance, raise_on_error=False
    )
    return evaluate_failure_sensor(definitions, result, instance)


@pytest.fixture
def tell(
    shop: dict[str, Any], database: sqlite3.Connection, instance: dg.DagsterInstance
) -> Callable[[], Any]:
    """Lets a load of the shop fail, and the failure sensor see it."""

    def fail_and_tell() -> Any:
        database.execute("drop table customers")
        database.commit()
        loaded = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
        location = dg.Definitions.merge(loaded, create_shared_definitions(loaded))
        return run_and_tell(location, "ingestion__shop", instance)

    return fail_and_tell


def test_a_failed_run_is_sent_to_the_webhook(
    tell: Callable[[], Any],
    webhook: tuple[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message names source, category, table and what to do."""
    url, received = webhook
    monkeypatch.setenv("FLOE_FAILURE_WEBHOOK_URL", url)

    tell()

    (sent,) = received
    (step,) = sent["steps"]
    assert (sent["job"], sent["source"]) == ("ingestion__shop", "shop")
    assert step["category"] == "CONFIGURATION"
    assert step["table"] == "bronze.shop_orders, bronze.shop_customers"
    assert step["what_to_do"]


def test_no_secret_is_sent(
    shop: dict[str, Any],
    instance: dg.DagsterInstance,
    webhook: tuple[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A webhook's receiver is another system, which must not receive passwords."""
    url, received = webhook
    monkeypatch.setenv("FLOE_FAILURE_WEBHOOK_URL", url)
    monkeypatch.setenv("SHOP_DATABASE", "postgresql://reader:Tr0ub4dor@db.acme.com/shop")

    @dg.asset
    def careless() -> None:
        msg = "login with Tr0ub4dor was rejected"
        raise RuntimeError(msg)

    loaded = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
    location = dg.Definitions.merge(
        loaded,
        create_shared_definitions(loaded),
        dg.Definitions(assets=[careless], jobs=[dg.define_asset_job("report", [careless])]),
    )
    run_and_tell(location, "report", instance)

    assert "login with *** was rejected" in json.dumps(received)
    assert "Tr0ub4dor" not in json.dumps(received)


def test_without_a_webhook_nothing_is_sent(
    tell: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sensor says why."""
    monkeypatch.delenv("FLOE_FAILURE_WEBHOOK_URL", raising=False)

    skipped = tell()

    assert isinstance(skipped, dg.SkipReason)
    assert "FLOE_FAILURE_WEBHOOK_URL is not set" in str(skipped.skip_message)


@pytest.mark.parametrize("url", ["", "https://example.com/hook"])
def test_the_failure_sensor_is_on_where_it_has_a_webhook(
    make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """It is on in production without an action in the UI, and off elsewhere."""
    monkeypatch.setenv("FLOE_FAILURE_WEBHOOK_URL", url)

    shared = create_shared_definitions(build_ingestion_definitions(make_plugin()))

    (sensor,) = shared.sensors or []
    assert sensor.default_status.value == ("RUNNING" if url else "STOPPED")
