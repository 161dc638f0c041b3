"""`floe` as operators run it: its output and its exit code are all that they see."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from servers.process import free_port

from floe_ingestion_defs.cli.main import main
from floe_ingestion_defs.destinations import Dataset, iceberg, open_catalog, remove_orphans
from floe_ingestion_defs.destinations.impl.iceberg.log import compaction

if TYPE_CHECKING:
    from collections.abc import Callable

Run = subprocess.CompletedProcess[str]


def floe(*arguments: str) -> Run:
    """Runs the command in this process, which has imported what takes seconds to import."""
    with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()) as errors:
        code = main(arguments)
    return Run(arguments, code, output.getvalue(), errors.getvalue())


def floe_process(*arguments: str) -> Run:
    """Runs the command in a process of its own."""
    command = [sys.executable, "-m", "floe_ingestion_defs.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def found(*arguments: str) -> Any:
    """What the command prints as JSON."""
    run = floe(*arguments, "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


@pytest.fixture
def load(floe_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Loads rows into a table of dataset `shop`, each time from a fresh working directory."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    runs = iter(range(100))

    def run(
        rows: Any, table: str = "orders", write_disposition: Any = "append", **options: Any
    ) -> None:
        pipeline = dlt.pipeline(
            "till",
            destination=iceberg(**options),
            dataset_name="shop",
            pipelines_dir=str(tmp_path / str(next(runs))),
        )
        pipeline.run(rows, table_name=table, write_disposition=write_disposition)

    return run


def test_the_console_script_is_the_command() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"floe": "floe_ingestion_defs.cli.main:main"}


def test_a_wrong_command_line_is_a_failure_in_json_too() -> None:
    run = floe("log", "--json", "--absent")
    assert run.returncode == 2
    assert run.stderr == ""
    error = json.loads(run.stdout)["error"]
    assert error["category"] == "CONFIGURATION"
    assert "--absent" in error["reason"]
    assert error["remedy"]


def test_help_needs_neither_dlt_nor_a_catalog() -> None:
    """It is quick, and lists each command."""
    code = (
        "import sys; from floe_ingestion_defs.cli.main import main; main(['--help']); "
        "print(*(m for m in ('dlt', 'pyiceberg', 'pyarrow', 'dagster') if m in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *shown, imported = run.stdout.splitlines()
    assert imported == ""
    for command in (
        "status",
        "log",
        "plan",
        "compact",
        "expire",
        "rewrite-manifests",
        "orphans",
        "release",
        "clone",
        "drop-branch",
    ):
        assert any(line.strip().startswith(command) for line in shown)


def test_tables_are_shown_planned_and_compacted(
    load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        load([{"id": n}])
    (table,) = found("status", "shop")["tables"]
    assert (table["table"], table["rows"], table["files"]) == ("shop.orders", 5, 5)
    assert (table["watermark"], table["health"]) == (5, "ok")
    loads = found("log", "shop", "--last", "2")["loads"]
    assert [(x["seq"], x["tables"], x["rows"], x["state"]) for x in loads] == [
        (5, ["orders"], 1, "settled"),
        (4, ["orders"], 1, "settled"),
    ]
    assert loads[0]["load"] == table["last_load"]
    planned = {step["command"]: step for step in found("plan", "shop")["plan"]}
    assert [planned["compact"][name] for name in ("before", "after", "files")] == [5, 1, 5]
    assert [planned["rewrite-manifests"][n] for n in ("before", "after", "files")] == [5, 1, 5]
    assert [planned["expire"][name] for name in ("before", "after", "files")] == [5, 5, 0]
    assert all(step["bytes"] > 0 for name, step in planned.items() if name != "expire")
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    assert floe("compact", "shop", "--executor", "ray").returncode == 75
    assert floe("compact", "shop", "--executor", "dask").returncode == 2
    (compacted,) = found("compact", "shop", "orders")["tables"]
    assert (compacted["files_removed"], compacted["files_added"], compacted["error"]) == (
        5,
        1,
        None,
    )
    ordered = found("compact", "shop", "orders", "--z-order", "id", "--rewrite-all")["tables"]
    assert [(each["files_removed"], each["files_added"]) for each in ordered] == [(1, 1)]
    unknown = floe("compact", "shop", "orders", "--z-order", "idd", "--json")
    assert unknown.returncode == 2
    assert "Table `shop.orders` cannot be z-ordered: it has no column `idd`; did" in unknown.stdout
    (after,) = found("status")["tables"]
    assert (after["files"], after["last_load"]) == (1, table["last_load"])
    shown = floe_process("status", "shop")
    assert shown.returncode == 0
    assert "shop.orders" in shown.stdout
    assert "ok" in shown.stdout


def test_the_log_shows_what_its_compaction_left_out_as_unknown(
    load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load of one row must not be shown as one of none."""
    monkeypatch.setattr(compaction, "COMPACT_AFTER_FILES", 3)
    for n in range(4):
        load([{"id": n}])
    shown = [
        (x["seq"], x["tables"], x["rows"]) for x in found("log", "shop", "--last", "2")["loads"]
    ]
    assert shown == [(4, ["orders"], 1), (3, None, None)]


def test_a_size_is_shown_with_its_unit_in_each_column(load: Callable[..., None]) -> None:
    load([{"id": 1}])
    assert floe("compact", "shop").stdout.count("0 bytes") == 2  # Removed, and added.
    assert "bytes deleted: 0 bytes" in floe("expire", "shop").stdout


def test_status_shows_the_loads_that_a_restored_backup_lacks(load: Callable[..., None]) -> None:
    load([{"id": 1}])
    catalog = open_catalog()
    backup = catalog.load_table("shop.orders").metadata_location
    load([{"id": 2}])
    (lost,) = found("log", "shop", "--last", "1")["loads"]
    catalog.drop_table("shop.orders")
    catalog.register_table("shop.orders", backup)
    for watermark in (1, 3):
        (table,) = found("status", "shop")["tables"]
        assert table["watermark"] == watermark
        assert f"removed 1 loads: {lost['load']}; roll the table forward" in table["health"]
        load([{"id": 3}])


def test_snapshots_expire_with_yes_only(load: Callable[..., None]) -> None:
    for n in range(3):
        load([{"id": n}])
    arguments = ("expire", "shop", "--older-than", "0", "--keep", "2")
    (planned,) = found(*arguments)["tables"]
    assert (planned["snapshots_before"], planned["snapshots_expired"]) == (3, 1)
    # Newer snapshots have the files of the older ones.
    assert (planned["files_freed"], planned["bytes_freed"]) == (0, 0)
    assert found("status", "shop")["tables"][0]["snapshots"] == 3
    expired = found(*arguments, "--yes")
    assert expired["tables"][0]["snapshots_expired"] == 1
    assert expired["files_deleted"] == 0  # They were written less than a day ago.
    (after,) = found("status", "shop")["tables"]
    assert (after["snapshots"], after["rows"], after["health"]) == (2, 3, "ok")
    assert floe("expire", "shop", "--keep", "0").returncode == 2
    (rewritten,) = found("rewrite-manifests", "shop")["tables"]
    assert (rewritten["manifests_before"], rewritten["manifests_after"]) == (3, 1)


def test_orphans_are_deleted_with_yes_only(load: Callable[..., None], floe_home: Path) -> None:
    load([{"id": 1}])
    dataset = Dataset(open_catalog(), "shop")
    orders = dataset.load_table("orders")
    assert orders is not None
    (task,) = orders.scan().plan_files()
    path = Path(task.file.file_path.removeprefix("file://"))
    orphan = path.with_name(path.name.replace(path.stem[-32:], "0" * 32))
    orphan.write_bytes(path.read_bytes())
    two_days_ago = path.stat().st_mtime - 2 * 86_400
    os.utime(orphan, (two_days_ago, two_days_ago))
    (listed,) = found("orphans", "shop", "--older-than", "1")["orphans"]
    assert (listed["deleted"], listed["doubt"]) == (False, None)
    assert orphan.exists()
    refused = floe("orphans", "shop", "--older-than", "0.5", "--yes")
    assert refused.returncode == 2
    (swept,) = found("orphans", "shop", "--older-than", "1", "--yes")["orphans"]
    assert swept["deleted"]
    assert not orphan.exists()
    assert remove_orphans(dataset, timedelta(days=1)) == []


def test_a_blocked_table_is_shown_and_released(load: Callable[..., None]) -> None:
    load([{"id": 1}])

    def replace_the_table(tables: Any) -> list[Any]:
        catalog = open_catalog()
        catalog.drop_table("shop.orders")
        catalog.create_table("shop.orders", pa.schema([("id", pa.bool_())]))
        return []

    with pytest.raises(PipelineStepFailed):
        load([{"id": 2}], audits=[replace_the_table])
    (table,) = found("status", "shop")["tables"]
    assert table["health"].startswith("blocked: Load 2 of the log cannot be published")
    sick = floe("doctor", "shop", "--json")
    assert sick.returncode == 1
    checks = {check["check"]: check["result"] for check in json.loads(sick.stdout)["checks"]}
    assert checks == {"catalog": "ok", "log of shop": "PERMANENT", "storage of shop": "ok"}
    (asked,) = found("release", "shop", "orders")["tables"]
    assert asked["rows_moved"] == 0
    assert asked["blocked"]
    named = re.search(r"`floe (release [^`]+)`", table["health"])
    assert named is not None
    (released,) = found(*named[1].split())["tables"]
    assert released["rows_moved"] == 1
    assert {t["table"]: t["health"] for t in found("status", "shop")["tables"]} == {
        "shop.orders": "ok",
        "shop.orders____blocked": "ok",
    }
    assert floe("doctor", "shop").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "reason", "remedy"),
    [
        (["status", "nothing"], "`nothing` is not a dataset", "has these datasets: `shop`"),
        (["compact", "shop", "missing"], "`shop.missing` does not exist", "`floe status shop`"),
        (["release", "shop", "missing"], "`shop.missing` does not exist", "`floe status shop`"),
        (["drop-branch"], "Nothing was dropped", "--yes"),
    ],
    ids=["dataset", "table", "released", "branch"],
)
def test_what_cannot_be_done_is_a_failure_with_a_remedy(
    load: Callable[..., None], arguments: list[str], reason: str, remedy: str
) -> None:
    load([{"id": 1}])
    run = floe(*arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(f"CONFIGURATION: {reason}")
    assert remedy in run.stderr
    error = json.loads(floe(*arguments, "--json").stdout)["error"]
    assert error["category"] == "CONFIGURATION"
    assert reason in error["reason"]


def test_the_status_of_a_table_shows_its_cursor(load: Callable[..., None]) -> None:
    """The one that the next load continues from; a table without one has none."""
    for n in (1, 2):
        rows = [{"id": n, "at": datetime(2026, 1, n, tzinfo=UTC), "lines": [{"n": 1}]}]
        load(dlt.resource(rows, name="events").add_step(dlt.sources.incremental("at")), "occasions")
    load([{"id": 1}])
    shown = {table["table"]: table["cursor"] for table in found("status", "shop")["tables"]}
    assert shown == {
        "shop.occasions": "at=2026-01-02T00:00:00+00:00",
        "shop.occasions__lines": None,
        "shop.orders": None,
    }


def test_a_branch_is_cloned_and_dropped(
    load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    load([{"id": 1}])
    refused = floe("clone", "shop")
    assert refused.returncode == 2
    assert "can only be cloned for a branch, and FLOE_BRANCH is not set" in refused.stderr
    monkeypatch.setenv("FLOE_BRANCH", "pr_7")
    for _ in range(2):
        cloned = found("clone", "shop")
        assert cloned == {"dataset": "shop__pr_7", "tables": [{"table": "shop__pr_7.orders"}]}
    assert open_catalog().load_table("shop__pr_7.orders").scan().to_arrow().num_rows == 1
    assert found("drop-branch", "--yes")["datasets"] == [{"dropped": "shop__pr_7"}]
    assert open_catalog().load_table("shop.orders").scan().to_arrow().num_rows == 1


def test_the_plan_for_a_cloned_table_says_that_its_files_are_kept(
    load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2):
        load([{"id": n}], write_disposition="replace")
    expiry = {"min-snapshots-to-keep": "1", "max-snapshot-age-ms": "0"}
    with open_catalog().load_table("shop.orders").transaction() as transaction:
        transaction.set_properties({f"history.expire.{k}": v for k, v in expiry.items()})

    planned = found("plan", "shop")
    assert next(x["files"] for x in planned["plan"] if x["command"] == "expire") >= 2
    assert planned["kept_because"] == []
    with monkeypatch.context() as patch:
        patch.setenv("FLOE_BRANCH", "pr_7")
        found("clone", "shop")
    uses = ["`shop__pr_7.orders` uses its folder"]
    assert found("plan", "shop") == {**planned, "kept_because": uses}
    for yes in ((), ("--yes",)):
        expired = found("expire", "shop", *yes)
        assert expired["tables"][0]["snapshots_expired"] == 1
        assert expired["kept_because"] == ([] if yes else uses)  # All are younger than a day.
    assert open_catalog().load_table("shop__pr_7.orders").scan().to_arrow().num_rows == 1


def test_production_is_no_branch_to_drop(
    load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which tables a process may change is a matter of its configuration."""
    load([{"id": 1}])
    run = floe("drop-branch", "--yes")
    assert run.returncode == 2
    reason = "CONFIGURATION: DatasetRefused: Only a branch's tables can be dropped"
    assert run.stderr.startswith(reason)
    assert found("status", "shop")["tables"]
    monkeypatch.setenv("FLOE_BRANCH", "")
    assert floe("status", "shop").stderr.startswith("CONFIGURATION: InvalidBranch:")


def test_a_catalog_that_does_not_respond_is_transient_and_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    configured = {
        "TYPE": "rest",
        "URI": f"http://operator:open-sesame@127.0.0.1:{port}",
        "TOKEN": "very-secret-token",
    }
    for name, value in configured.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__FLOE__{name}", value)
    run = floe_process("status")
    assert run.returncode == 75
    assert run.stderr.startswith("TRANSIENT:")
    assert str(port) in run.stderr
    assert "run the command again" in run.stderr
    checked = floe("doctor", "--json")
    assert checked.returncode == 75
    for shown in (run.stderr, run.stdout, checked.stdout, checked.stderr):
        assert "open-sesame" not in shown
        assert "very-secret-token" not in shown
