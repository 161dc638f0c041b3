"""A planted secret is not in anything that Dagster stores or sends about a run."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import dagster as dg
import pytest
from dagster_wiring.failure_sensor import evaluate_failure_sensor
from secret_places import ELSEWHERE, ENVIRONMENT, OVER_HTTP, SECRET, SHOWN_AS
from servers.loopback import serving

from floe_ingestion_defs.dagster_wiring.location import (
    build_ingestion_definitions,
    create_shared_definitions,
)
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

PLACES = ("bearer", "key in query", "url", "headers", "bucket", "database by parts", "arguments")


class Outside:
    """An API that gives a row, or a status and the secret; and a webhook."""

    def __init__(self) -> None:
        self.status = 200
        self.told: list[str] = []
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                fine = outside.status == 200
                body = b'[{"id": 1}]' if fine else SECRET.encode()
                self.send_response(outside.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outside.told.append(body.decode())
                self.send_response(204)
                self.end_headers()

        self.handler = Handler
        self.url = ""


@pytest.fixture
def outside() -> Iterator[Outside]:
    outside = Outside()
    with serving(outside.handler) as outside.url:
        yield outside


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("status", [200, 401])
def test_a_planted_secret_is_found_nowhere_in_dagster(
    place: str,
    status: int,
    outside: Outside,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Events, metadata, compute logs, and what the failure sensor sends."""
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("FLOE_FAILURE_WEBHOOK_URL", f"{outside.url}/{SECRET}")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "dlt_plugin")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    outside.status = status
    source = {**OVER_HTTP, **ELSEWHERE}[place](outside.url)
    plugin = DltIngestionPlugin({"sources": [source], "retry_config": {"max_retries": 0}})
    loaded = build_ingestion_definitions(plugin)
    location = dg.Definitions.merge(loaded, create_shared_definitions(loaded))

    result = location.resolve_job_def("ingestion__leaky").execute_in_process(
        instance=instance, raise_on_error=False
    )

    assert result.success is (status == 200 and place in OVER_HTTP and place != "bucket")
    if not result.success:
        evaluate_failure_sensor(location, result, instance)
        assert json.loads(outside.told[0])["source"] == "leaky"
    output = capfd.readouterr()
    kept = [dg.serialize_value(entry) for entry in instance.all_logs(result.run_id)]
    kept += [dg.serialize_value(instance.get_run_by_id(result.run_id)), *outside.told]
    text = "\n".join([*kept, output.out, output.err, caplog.text])
    assert len(kept) > 5
    for form in SHOWN_AS:
        at = text.find(form)
        assert at < 0, text[max(0, at - 300) : at + 100]
