"""The sensor of new files requests a run that failed again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dagster_wiring.automation import new_files
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin


class Location:
    """A source of files, whose sensor is evaluated and whose runs are executed in this process."""

    def __init__(self, landing: Path, instance: dg.DagsterInstance, retries: int) -> None:
        source = {
            "name": "files",
            "source_type": "filesystem",
            "source_config": {"bucket_url": str(landing), "file_glob": "*.csv", "format": "csv"},
            "destination_table": "bronze.files",
            "columns": {"id": "bigint"},
            "orchestration": {"new_files_every": "1m", "new_files_retries": retries},
        }
        plugin = DltIngestionPlugin(
            {"sources": [source], "retry_config": {"max_retries": 0}},
        )
        self.definitions = build_ingestion_definitions(plugin)
        self.instance = instance
        self.cursor: str | None = None

    def tick(self) -> Any:
        """Evaluate the sensor once, and return its result."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.definitions.get_repository_def(),
        )
        result = self.definitions.resolve_sensor_def("ingestion__files_new_files").evaluate_tick(
            context
        )
        self.cursor = result.cursor or self.cursor
        return result

    def request(self) -> dg.RunRequest:
        """Evaluate the sensor, which must request a run, and return the request."""
        (request,) = self.tick().run_requests
        assert isinstance(request, dg.RunRequest)
        return request

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def("ingestion__files").execute_in_process(
            instance=self.instance, tags=dict(request.tags), raise_on_error=False
        )


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that stores its runs in files, as a deployed one does."""
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        yield instance


def test_a_failed_run_is_requested_again_later_each_time_and_names_the_files(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = Location(landing, instance, retries=2)
    (landing / "a.csv").write_text("id\n1\n")
    location.tick()
    assert location.run(location.request()).success
    assert "No new or changed files" in location.tick().skip_message

    (landing / "b.csv").write_text("id\ntwo\n")
    location.tick()
    requests = [location.request()]
    failed = location.run(requests[0])
    assert not failed.success
    waiting = location.tick()
    assert not waiting.run_requests
    assert f"Run {failed.run_id} failed to load b.csv (attempt 1)" in waiting.skip_message
    assert "requested again at" in waiting.skip_message

    monkeypatch.setattr(new_files, "_FIRST_WAIT", timedelta(0))
    for attempt in (2, 3):
        requests.append(location.request())
        assert requests[-1].tags["floe/cause"] == "failed files: b.csv"
        assert requests[-1].tags["floe/attempt"] == str(attempt)
        location.run(requests[-1])
    last = location.tick()
    assert not last.run_requests
    assert "b.csv (attempt 3, the last one)" in last.skip_message
    assert len({request.run_key for request in requests}) == 3

    (landing / "b.csv").write_text("id\n2\n")
    location.tick()
    assert location.run(location.request()).success
    assert "No new or changed files" in location.tick().skip_message


def test_a_run_that_succeeds_in_another_attempt_is_not_requested_again(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a missing permission that was granted, or a run that a user launched again."""
    monkeypatch.setattr(new_files, "_FIRST_WAIT", timedelta(0))
    location = Location(landing, instance, retries=5)
    (landing / "a.csv").write_text("id\n1\n")
    location.tick()
    request = location.request()
    assert "No new or changed files" in location.tick().skip_message
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__WAREHOUSE", "/proc/none")
    assert not location.run(request).success
    monkeypatch.delenv("PYICEBERG_CATALOG__FLOE__WAREHOUSE")
    again = location.request()
    assert again.tags["floe/cause"] == "failed files: a.csv"
    assert location.run(again).success
    assert "No new or changed files" in location.tick().skip_message


def test_the_wait_doubles_up_to_an_hour(landing: Path, instance: dg.DagsterInstance) -> None:
    location = Location(landing, instance, retries=20)
    (landing / "a.csv").write_text("id\nx\n")
    location.tick()
    request = location.request()
    for attempt, minutes in ((1, 5), (2, 10), (4, 40), (5, 60), (12, 60)):
        run = location.run(request._replace(tags={**request.tags, "floe/attempt": str(attempt)}))
        (record,) = instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
        ended = datetime.fromtimestamp(record.end_time or 0, UTC)
        due = ended + timedelta(minutes=minutes)
        assert f"{due:%Y-%m-%d %H:%M:%S} UTC" in location.tick().skip_message
