"""OpenLineage's events, as a server receives them by HTTP from the sensor of a location."""

import json
import sqlite3
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import dagster as dg
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import SecretStr
from servers.loopback import serving

from floe_ingestion_defs.dagster_wiring import (
    build_ingestion_definitions,
    create_shared_definitions,
)
from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.openlineage.naming import (
    name_of_location,
    name_of_source,
    without_credentials,
)
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

Event = dict[str, Any]

_TEXT = {"type": "string", "minLength": 1}
_FACET = {
    "type": "object",
    "properties": {
        "_producer": {"type": "string", "format": "uri"},
        "_schemaURL": {"type": "string", "pattern": "^https://openlineage.io/spec/"},
    },
    "required": ["_producer", "_schemaURL"],
}
_FACETS = {"type": "object", "additionalProperties": _FACET}
_DATASETS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "namespace": _TEXT,
            "name": _TEXT,
            "facets": _FACETS,
            "inputFacets": _FACETS,
            "outputFacets": _FACETS,
        },
        "required": ["namespace", "name"],
    },
}
# What version 2-0-2 of the specification requires of a `RunEvent`.
RUN_EVENT = {
    "type": "object",
    "properties": {
        "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$"},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {
            "const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
        },
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "run": {
            "type": "object",
            "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": _FACETS},
            "required": ["runId"],
        },
        "job": {
            "type": "object",
            "properties": {"namespace": _TEXT, "name": _TEXT, "facets": _FACETS},
            "required": ["namespace", "name"],
        },
        "inputs": _DATASETS,
        "outputs": _DATASETS,
    },
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
}


class Server(BaseHTTPRequestHandler):
    """Accepts events as Marquez does; `status` is what it answers."""

    received: ClassVar[list[Event]] = []
    status = 201

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/api/v1/lineage"
        if self.status < 400:
            self.received.append(json.loads(body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


class Lineage:
    """A location with its lineage sensor, and what the server received of it."""

    def __init__(self, source: dict[str, Any], instance: dg.DagsterInstance) -> None:
        defs = build_ingestion_definitions(DltIngestionPlugin({"sources": [source]}))
        self.location = dg.Definitions.merge(defs, create_shared_definitions(defs))
        self.instance = instance
        self.cursor: str | None = None
        self.evaluate()

    def evaluate(self) -> None:
        with dg.build_sensor_context(self.instance, cursor=self.cursor) as context:
            try:
                self.location.resolve_sensor_def("ingestion_openlineage")(context)
            finally:
                self.cursor = context.cursor

    def load(self, **options: Any) -> dg.ExecuteInProcessResult:
        job = self.location.resolve_job_def("ingestion__shop")
        return job.execute_in_process(instance=self.instance, **options)


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Event]]:
    """The events that a server received, each of which the specification accepts."""
    monkeypatch.setattr(Server, "received", [])
    with serving(Server) as url:
        monkeypatch.setenv("OPENLINEAGE_URL", url)
        yield Server.received
    validator = Draft202012Validator(RUN_EVENT, format_checker=FormatChecker())
    for event in Server.received:
        validator.validate(event)


def test_a_load_is_a_run_with_its_tables_columns_and_figures(
    received: list[Event],
    shop: dict[str, Any],
    database: sqlite3.Connection,
    instance: dg.DagsterInstance,
) -> None:
    """Datasets are named by OpenLineage's conventions, so other tools' lineage joins them."""
    database.execute('alter table orders rename column total to "TotalAmount"')
    database.commit()
    shop["orchestration"] = {"checks": {"not_null": True}}
    lineage = Lineage(shop, instance)
    result = lineage.load()

    lineage.evaluate()

    start, complete, checks = received
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert {event["run"]["runId"] for event in (start, complete)} == {result.run_id}
    job = complete["job"]
    assert (job["namespace"], job["name"]) == ("dagster", "ingestion__shop")
    assert complete["inputs"] == start["inputs"]
    assert {each["namespace"] for each in complete["inputs"]} == {"file"}
    (orders,) = [each for each in complete["outputs"] if each["name"].endswith("shop_orders")]
    table = open_catalog().load_table("bronze.shop_orders")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert (orders["namespace"], orders["name"]) == name_of_location(table.location())
    facets = orders["facets"]
    assert facets["symlinks"]["identifiers"][0]["name"] == "bronze.shop_orders"
    assert facets["version"]["datasetVersion"] == str(snapshot.snapshot_id)
    assert {field["name"] for field in facets["schema"]["fields"]} >= {"id", "total_amount"}
    (from_field,) = facets["columnLineage"]["fields"]["total_amount"]["inputFields"]
    assert from_field["field"] == "TotalAmount"
    assert from_field["name"].endswith("/orders")
    statistics = orders["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["fileCount"]) == (3, 1)
    assert statistics["size"] > 0
    assert checks["job"]["name"] == "ingestion__shop.checks"
    assert checks["run"]["facets"]["parent"]["run"]["runId"] == result.run_id
    (checked,) = [each for each in checks["inputs"] if each["name"] == orders["name"]]
    assertions = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert {"not_null", "schema_contract"} <= {each["assertion"] for each in assertions}
    assert all(each["success"] for each in assertions)


def test_a_failed_load_is_a_failed_run_with_its_reason(
    received: list[Event],
    shop: dict[str, Any],
    database: sqlite3.Connection,
    instance: dg.DagsterInstance,
) -> None:
    """It has no outputs, because nothing was published."""
    lineage = Lineage(shop, instance)
    database.execute("drop table customers")
    database.commit()
    lineage.load(raise_on_error=False)

    lineage.evaluate()

    failed = received[1]
    assert failed["eventType"] == "FAIL"
    assert failed["outputs"] == []
    assert "customers" in failed["run"]["facets"]["errorMessage"]["message"]


def test_events_that_the_server_rejects_are_sent_again(
    received: list[Event],
    shop: dict[str, Any],
    database: sqlite3.Connection,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cursor moves only past what was accepted; history from before the sensor is not sent."""
    Lineage(shop, instance).load()
    lineage = Lineage(shop, instance)
    lineage.evaluate()
    assert received == []
    lineage.load()
    monkeypatch.setattr(Server, "status", 400)
    with pytest.raises(Exception, match="400"):
        lineage.evaluate()

    monkeypatch.setattr(Server, "status", 201)
    lineage.evaluate()
    lineage.evaluate()

    assert [event["eventType"] for event in received] == ["START", "COMPLETE", "COMPLETE"]


def test_without_a_server_there_is_no_sensor(
    shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent unless it is configured."""
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
    defs = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))

    sensors = create_shared_definitions(defs).sensors or ()

    assert "ingestion_openlineage" not in {sensor.name for sensor in sensors}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"credentials": "postgresql+psycopg2://u:secret@db.acme.org/shop"},
            ("postgres://db.acme.org:5432", "shop.public.orders"),
        ),
        (
            {"credentials": {"drivername": "mysql+pymysql", "host": "h", "port": "3307",
                             "username": "u", "password": "secret", "database": "shop"}},
            ("mysql://h:3307", "shop.orders"),
        ),
        ({"credentials": "${NOT_SET_ANYWHERE}"}, None),
        (
            {
                "source_type": "filesystem",
                "source_config": {"bucket_url": "s3://landing/orders/", "format": "csv",
                                  "resource_name": "orders"},
            },
            ("s3://landing", "orders"),
        ),
        (
            {
                "source_type": "rest_api",
                "source_config": {
                    "client": {"base_url": "https://u:secret@api.acme.org/v2/"},
                    "resources": [{"name": "orders", "endpoint": {"path": "sales/orders"}}],
                },
            },
            ("https://api.acme.org", "v2/sales/orders"),
        ),
    ],
)  # fmt: skip
def test_source_systems_are_named_without_their_credentials(
    shop: dict[str, Any], changes: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    """By the configuration of the source; what only a run knows has no name of its own."""
    source = {**shop, "source_config": {"table_names": ["orders"]}, **changes}
    if source["source_type"] != "sql_database":
        del source["credentials"]
    plugin = DltIngestionPlugin({"sources": [source]})

    found = name_of_source(ConfiguredSource.read(plugin, plugin.config.sources[0]), "orders")

    assert found == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("s3a://lake/bronze/orders", ("s3://lake", "bronze/orders")),
        ("file:///lake/bronze/orders", ("file", "/lake/bronze/orders")),
        (
            "abfss://lake@acme.dfs.core.windows.net/bronze",
            ("abfss://lake@acme.dfs.core.windows.net", "bronze"),
        ),
    ],
)
def test_tables_are_named_by_their_location(location: str, expected: tuple[str, str]) -> None:
    """As the integrations of Spark, Flink and Trino do."""
    assert name_of_location(location) == expected


def test_catalogs_are_named_without_their_credentials() -> None:
    uri = SecretStr("postgresql+psycopg2://u:secret@h:5432/catalog?sslmode=require")

    assert without_credentials(uri.get_secret_value()) == "postgresql://h:5432/catalog"
