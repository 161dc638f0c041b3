"""What happens can be followed in spans and logs, and no secret is in either, or anywhere."""

import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pyiceberg.types import BooleanType
from secret_places import CATALOGS, ELSEWHERE, ENVIRONMENT, OVER_HTTP, SECRET, SHOWN_AS

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, IngestionError

Source = dict[str, Any]
_EXPORTER = InMemorySpanExporter()


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Collects the spans of one test; a process has one tracer provider for good."""
    collect_spans()
    _EXPORTER.clear()
    yield _EXPORTER
    _EXPORTER.clear()


@cache
def collect_spans() -> None:
    """Send the spans of this process to `_EXPORTER`, from now on."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))


def spans(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def run(source: Source, **config: Any) -> Any:
    plugin = DltIngestionPlugin({"sources": [source], "retry_config": {"max_retries": 0}, **config})
    return plugin.run(plugin.create_pipeline(plugin.source(source["name"])))


def test_a_run_exports_spans_of_its_steps(
    files: Source, landing: Path, exporter: InMemorySpanExporter
) -> None:
    (landing / "a.csv").write_text("id\n1\n2\n")
    result = run(files)
    found = spans(exporter)
    assert {
        "ingestion.create_pipeline",
        "ingestion.get_destination_config",
        "ingestion.run",
        "ingestion.extract",
        "ingestion.normalize",
        "ingestion.load",
    } <= set(found)
    attributes = dict(found["ingestion.run"].attributes or {})
    assert attributes["ingestion.source_type"] == "filesystem"
    assert attributes["ingestion.destination_table"] == "bronze.items"
    assert attributes["ingestion.write_mode"] == "append"
    assert attributes["ingestion.rows_loaded"] == 2
    assert attributes["ingestion.load_id"] == result.load_ids[0]
    assert attributes["ingestion.bytes_written"] == result.bytes_written
    assert attributes["ingestion.duration_seconds"] == result.duration_seconds
    in_run, in_load = found["ingestion.run"].context, found["ingestion.load"].context
    parents = dict.fromkeys(("extract", "normalize", "load"), in_run.span_id)
    parents |= dict.fromkeys(("stage", "audit", "commit", "publish"), in_load.span_id)
    for phase, parent in parents.items():
        span = found[f"ingestion.{phase}"]
        assert span.parent is not None
        assert span.parent.span_id == parent, phase
        assert span.status.status_code is not StatusCode.ERROR


def test_the_span_of_a_failed_run_has_the_error(
    files: Source, landing: Path, exporter: InMemorySpanExporter
) -> None:
    (landing / "a.csv").write_text("id\n1,2\n")
    run(files)
    span = spans(exporter)["ingestion.run"]
    attributes = dict(span.attributes or {})
    assert not span.status.is_ok
    assert attributes["error.type"] == "SourceReadError"
    assert attributes["error.category"] == "PERMANENT"
    assert "a.csv" in str(attributes["error.message"])
    assert not spans(exporter)["ingestion.extract"].status.is_ok
    assert "ingestion.load" not in spans(exporter)


def test_the_span_of_a_failed_phase_has_the_error(
    files: Source, landing: Path, exporter: InMemorySpanExporter
) -> None:
    """The span of a load that the destination rejects shows in which of its phases, and why."""
    (landing / "a.csv").write_text("id\n1\n")
    assert run(files).success
    with open_catalog().load_table("bronze.items").update_schema(True) as update:
        update.delete_column("id")
        update.add_column("id", BooleanType())
    exporter.clear()
    (landing / "b.csv").write_text("id\n2\n")
    assert not run(files).success
    stage = spans(exporter)["ingestion.stage"]
    assert not stage.status.is_ok
    assert dict(stage.attributes or {})["error.type"] == "IncompatibleSchema"
    assert "ingestion.commit" not in spans(exporter)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "status"),
    [
        *((place, status) for place in OVER_HTTP for status in (200, 401, 500)),
        *((place, 200) for place in ELSEWHERE),
    ],
)
def test_a_planted_secret_is_found_nowhere(
    place: str,
    status: int,
    api: Any,
    database: Any,
    exporter: InMemorySpanExporter,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    source = {**OVER_HTTP, **ELSEWHERE}[place](api.url)
    api.rows = [{"id": 1}]
    if status != 200:
        api.script = [(status, {}, SECRET.encode())] * 20
    said = []
    plugin = DltIngestionPlugin(
        {
            "sources": [source],
            "retry_config": {"max_retries": 1, "initial_delay_seconds": 0.01},
            "catalog_config": {"s3_secret_access_key": SECRET, "token": SECRET},
        }
    )
    plugin.startup()
    said += [plugin, plugin.config, plugin.source("leaky"), plugin.health_check(timeout=5)]
    said += [plugin.get_destination_config(plugin.config.catalog_config)]
    try:
        pipeline = plugin.create_pipeline(plugin.source("leaky"))
        said += [pipeline, pipeline.resources]
        said += [plugin.run(pipeline)]
        said += [plugin.load(pipeline)]
    except IngestionError as error:
        said += [error, "".join(traceback.format_exception(error))]
        loaded = False
    else:
        loaded = True
    assert loaded is (status == 200 and place in OVER_HTTP and place != "bucket"), said[-1]
    _require_silence(said, exporter, capfd, caplog)


@pytest.mark.parametrize("place", CATALOGS)
def test_a_catalogs_planted_secret_is_found_nowhere(
    place: str,
    files: Source,
    landing: Path,
    api: Any,
    exporter: InMemorySpanExporter,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The catalog's answer repeats it, as a proxy's page about a bad request may."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    (landing / "a.csv").write_text("id\n1\n")
    api.script = [(401, {}, SECRET.encode())] * 50
    said = []
    plugin = DltIngestionPlugin(
        {
            "sources": [files],
            "retry_config": {"max_retries": 0},
            "catalog_config": CATALOGS[place](api.url),
        }
    )
    plugin.startup()
    said += [plugin, plugin.config, plugin.health_check(timeout=5)]
    said += [plugin.get_destination_config(plugin.config.catalog_config)]
    pipeline = plugin.create_pipeline(plugin.source("files"))
    said += [pipeline, plugin.run(pipeline)]
    with pytest.raises(IngestionError) as failed:
        plugin.load(pipeline)
    said += [failed.value, "".join(traceback.format_exception(failed.value))]
    _require_silence(said, exporter, capfd, caplog)


def _require_silence(
    said: list[Any],
    exporter: InMemorySpanExporter,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = [*said, *(span.to_json() for span in exporter.get_finished_spans())]
    output = capfd.readouterr()
    text = "\n".join(
        [*(f"{thing!r} {thing}" for thing in said), output.out, output.err, caplog.text]
    )
    for form in SHOWN_AS:
        at = text.find(form)
        assert at < 0, text[max(0, at - 300) : at + 100]


def test_loads_failures_and_retries_are_counted(
    items: Source, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    reader = InMemoryMetricReader()
    # The instruments were made before there was an SDK: they take up the first one that comes.
    metrics.set_meter_provider(MeterProvider([reader]))
    api.rows = [{"id": 1}]
    api.script = [(503, {}, b"")]
    retrying = {"retry_config": {"max_retries": 1, "initial_delay_seconds": 0.01}}
    assert run(items, **retrying).rows_loaded == 1
    api.script = [(404, {}, b"")]
    assert not run(items).success
    data = reader.get_metrics_data()
    assert data is not None
    totals = {
        metric.name: sum(
            getattr(point, "value", getattr(point, "count", 0)) for point in metric.data.data_points
        )
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert totals["ingestion.rows_loaded"] == 1
    assert totals["ingestion.retries"] == 1
    assert totals["ingestion.failures"] == 1
    assert totals["ingestion.duration"] == 2
    assert totals["ingestion.bytes_written"] > 0
