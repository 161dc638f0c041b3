import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pyarrow.parquet as pq
import pytest
from servers.postgres import Postgres

from benchmarks.__main__ import PUBLISHED
from benchmarks.case import Case, find_cases
from benchmarks.cases.database import load_orders, write_parquet
from benchmarks.cases.huge_rows import load_documents, load_one
from benchmarks.cases.many_keys import load_events, load_first, merge_events
from benchmarks.cases.wide_table import append_wide, merge_wide
from benchmarks.duckdb_peer import VERSION, packages, write_files
from benchmarks.measure import Measurement, Stopwatch
from benchmarks.page_server import serving
from benchmarks.report import FLOE, STOCK, Row, at_least, at_most
from benchmarks.results import BEGIN, END, markdown, publish, store, stored, write_page
from benchmarks.runner import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[2] / "docs" / "destination" / "benchmarks.md"


def test_every_case_is_on_the_page_about_them() -> None:
    """The page with the figures says what was done for them."""
    text = PAGE.read_text()
    assert [name for name in find_cases() if f"`{name}`" not in text] == []


def test_a_case_that_is_measured_again_replaces_its_own_figures_only(tmp_path: Path) -> None:
    """A long bench can be run case by case, and the table shows the newest of each."""
    cases = {name: Case(name, lambda bench: []) for name in ("first", "second")}
    for name, took in (("first", 1.0), ("second", 2.0), ("first", 3.0)):
        store(cases[name], [Row(name, {FLOE: Measurement(None, took)}, [])], tmp_path)
    found = {d["case"]: d["rows"][0]["measured"][FLOE] for d in stored(cases, tmp_path)}
    assert {name: each["whole_seconds"] for name, each in found.items()} == {
        "first": 3.0,
        "second": 2.0,
    }


def test_the_table_shows_which_targets_were_met(tmp_path: Path) -> None:
    """Missed and unmeasured ones included."""
    case = Case("case", lambda bench: [])
    floe = Measurement(1.0, 2.0, peak_bytes=3 << 20, snapshots=1)
    measured = {FLOE: floe, STOCK: Measurement(9.0, 9.5)}
    targets = [at_least(5, 1, 9), at_least(10, 1, 9), at_least(5, 1, None), at_most(2, 1, "peak")]
    store(case, [Row("work", measured, targets)], tmp_path)
    table = markdown(stored({"case": case}, tmp_path))
    assert "| work | this project | 1.00 s | 2.00 s | - | 3 MB | 1 |" in table
    assert "|  | stock dlt | 9.00 s | 9.50 s | - | - | - |" in table
    reached = [line.rsplit("|", 2)[1].strip() for line in table.splitlines() if "≥ " in line]
    assert reached == ["yes", "**no**", "-"]


def test_the_table_shows_processor_time_per_million_rows(tmp_path: Path) -> None:
    """A dash where there are no rows, and in results that do not have the fields yet."""
    case = Case("case", lambda bench: [])
    measured = {
        "rows": Measurement(None, 2.0, cpu_seconds=3.0, rows=1_500_000),
        "no rows": Measurement(None, 2.0, cpu_seconds=3.0),
        "other processes": Measurement(None, 2.0, rows=1_500_000),
        "earlier version": Measurement(None, 2.0),
    }
    store(case, [Row("work", measured, [])], tmp_path)
    file = tmp_path / "case.json"
    document = json.loads(file.read_text())
    for field in ("cpu_seconds", "rows"):
        del document["rows"][0]["measured"]["earlier version"][field]
    file.write_text(json.dumps(document))
    lines = markdown(stored({"case": case}, tmp_path)).splitlines()
    cells = {line.split(" | ")[1]: line.split(" | ")[4] for line in lines if " | 2.00 s | " in line}
    assert cells == {
        "rows": "2.00",
        "no rows": "-",
        "other processes": "-",
        "earlier version": "-",
    }


def test_processor_time_is_that_of_the_process_and_its_ended_children() -> None:
    """It does not contain the time that a run waits, or that was spent before the run."""
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    watch = Stopwatch()
    subprocess.run([sys.executable, "-c", burn], check=True)
    time.sleep(0.5)
    measured = watch.stop(1.0, rows=7)
    assert (measured.load_seconds, measured.rows) == (1.0, 7)
    assert measured.cpu_seconds is not None
    assert 0.2 <= measured.cpu_seconds < measured.whole_seconds - 0.4


def test_the_figures_in_the_page_are_written_by_the_bench(tmp_path: Path) -> None:
    """All else in the page stays, and a second time changes nothing."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    head, _, rest = page.read_text().partition(BEGIN)
    for _ in range(2):
        write_page(page, "| the table |\n")
        tail = rest.partition(END)[2]
        assert page.read_text() == f"{head}{BEGIN}\n\n| the table |\n\n{END}{tail}"


def test_publishing_keeps_the_figures_of_cases_that_were_not_measured_here(tmp_path: Path) -> None:
    """The machine that measured them, and its folder of results, may be gone."""
    cases = {name: Case(name, lambda bench: []) for name in ("elsewhere", "here", "older")}
    here, published = tmp_path / "here", tmp_path / "published"
    for folder, name, took in (
        (published, "elsewhere", 1.0),
        (published, "here", 1.0),
        (here, "here", 2.0),
        (here, "older", 1.0),
        (published, "older", 2.0),
    ):
        store(cases[name], [Row(name, {FLOE: Measurement(None, took)}, [])], folder)
    for name, year in (("here", 2025), ("older", 2027)):
        file = published / f"{name}.json"
        document = json.loads(file.read_text())
        file.write_text(json.dumps({**document, "taken_at": f"{year}-01-01T00:00+00:00"}))
    publish(here, published)
    found = {d["case"]: d["rows"][0]["measured"][FLOE] for d in stored(cases, published)}
    assert {name: each["whole_seconds"] for name, each in found.items()} == {
        "elsewhere": 1.0,
        "here": 2.0,
        "older": 2.0,
    }


def test_the_page_shows_the_published_figures() -> None:
    """All of them, and nothing else."""
    figures = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert figures == f"\n\n{markdown(stored(find_cases(), PUBLISHED))}\n"


def test_figures_of_a_busy_machine_state_its_load(tmp_path: Path) -> None:
    """A case that was measured beside other work cannot be compared with one that was not."""
    cases = {name: Case(name, lambda bench: []) for name in ("busy", "quiet")}
    for name, load in (("busy", 11.7), ("quiet", 1.2)):
        store(cases[name], [Row(name, {FLOE: Measurement(None, 1.0)}, [])], tmp_path)
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "load_average": load}))
    assert "busy (load average 11.7), quiet." in markdown(stored(cases, tmp_path))


def test_a_page_without_a_place_for_the_figures_is_an_error(tmp_path: Path) -> None:
    """And is left as it is."""
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="does not contain the lines"):
        write_page(page, "")
    assert page.read_text() == "nothing\n"


def test_the_page_server_serves_all_pages_as_often_as_configured(tmp_path: Path) -> None:
    """In the order of their numbers, each with a link to the next, the last page alone besides."""
    for number in range(11):
        (tmp_path / f"{number}.json").write_text(f'[{{"n": {number}}}]')
    with serving(tmp_path, 2) as server:
        found, path = [], "/flights"
        while path:
            with urlopen(server.url + path) as answer:
                page = json.load(answer)
            found += [row["n"] for row in page["data"]]
            path = page["next"]
        with urlopen(f"{server.url}/last") as answer:
            assert json.load(answer) == {"data": [{"n": 10}], "next": None}
        assert server.cpu_seconds() > 0
    assert found == [*range(11), *range(11)]


def test_duckdb_writes_every_row_as_the_peer(postgres: Postgres, tmp_path: Path) -> None:
    """Of a database and of files, in the version that has the extension, with dlt's compression."""
    database = postgres.new_database()
    postgres.execute("create table orders as select i from generate_series(1, 9000) i", database)
    postgres.execute("create table few_orders as table orders limit 3", database)
    (tmp_path / "1.json").write_text('[{"id": 1, "lines": [{"n": 1}, {"n": 2}]}, {"id": 2}]')
    url, query = postgres.url(database), "FROM read_json('{}')"
    bench = Bench(tmp_path)
    runs: dict[Callable[..., Any], dict[str, Any]] = {
        write_parquet: {"url": url, "reader": "duckdb", "rows": 9000},
        write_files: {"query": query, "small": tmp_path / "1.json", "whole": tmp_path / "*.json"},
    }
    found = {}
    for function, arguments in runs.items():
        home = tmp_path / function.__name__
        home.mkdir()
        measured = bench.call(function, packages(), home=home, cache=tmp_path, **arguments)
        assert measured["cpu_seconds"] > 0
        written = pq.ParquetFile(home / "all.parquet").metadata
        assert f"v{VERSION}" in written.created_by
        assert written.row_group(0).column(0).compression == "SNAPPY"
        found[function.__name__] = (measured["rows"], written.num_rows)
    assert found == {"write_parquet": (9000, 9000), "write_files": (2, 2)}


def test_the_benchmark_of_readers_loads_every_row(postgres: Postgres, tmp_path: Path) -> None:
    """Its loads at a small scale; the bench runs each in a new process."""
    database = postgres.new_database()
    postgres.execute("create table orders as select i from generate_series(1, 9000) i", database)
    postgres.execute("create table few_orders as table orders limit 3", database)
    for readers in (1, 2):
        home = tmp_path / str(readers)
        measured = load_orders(home, tmp_path, postgres.url(database), rows=9000, readers=readers)
        assert measured.whole_seconds > 0


def test_the_benchmarks_of_large_loads_run_at_a_small_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each checks the rows of its table; the bench runs each in a new process."""
    for name in ("DATA_WRITER__FILE_MAX_ITEMS", "DATA_WRITER__BUFFER_MAX_ITEMS"):
        monkeypatch.setenv(name, "500")
    monkeypatch.setenv("DESTINATION__MERGE_MODE", "auto")
    wide, huge, many = tmp_path / "wide", tmp_path / "huge", tmp_path / "many"
    assert append_wide(wide, tmp_path, rows=20, columns=40).extra
    assert merge_wide(wide, tmp_path, rows=20, columns=40).peak_bytes
    load_documents(huge, tmp_path, rows=4)
    assert load_one(huge, tmp_path, rows=4, disposition="merge", mode="copy-on-write").peak_bytes
    load_events(many, tmp_path, rows=2_000)
    assert merge_events(many, tmp_path, rows=2_000, keys=100).peak_bytes
    assert load_first(tmp_path / "first", tmp_path, key="text", rows=50).peak_bytes
