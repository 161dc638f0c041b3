import json
from pathlib import Path
from urllib.request import urlopen

import pytest
from servers.postgres import Postgres

from benchmarks.__main__ import PUBLISHED
from benchmarks.case import Case, find_cases
from benchmarks.cases.database import load_orders
from benchmarks.measure import Measurement
from benchmarks.page_server import serving
from benchmarks.report import FLOE, STOCK, Row, at_least, at_most
from benchmarks.results import BEGIN, END, markdown, publish, store, stored, write_page

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
    measured = {FLOE: Measurement(1.0, 2.0, 3 << 20, snapshots=1), STOCK: Measurement(9.0, 9.5)}
    targets = [at_least(5, 1, 9), at_least(10, 1, 9), at_least(5, 1, None), at_most(2, 1, "peak")]
    store(case, [Row("work", measured, targets)], tmp_path)
    table = markdown(stored({"case": case}, tmp_path))
    assert "| work | this project | 1.00 s | 2.00 s | 3 MB | 1 |" in table
    assert "|  | stock dlt | 9.00 s | 9.50 s | - | - |" in table
    reached = [line.rsplit("|", 2)[1].strip() for line in table.splitlines() if "≥ " in line]
    assert reached == ["yes", "**no**", "-"]


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


def test_the_benchmark_of_readers_loads_every_row(postgres: Postgres, tmp_path: Path) -> None:
    """Its loads at a small scale; the bench runs each in a new process."""
    database = postgres.new_database()
    postgres.execute("create table orders as select i from generate_series(1, 9000) i", database)
    postgres.execute("create table few_orders as table orders limit 3", database)
    for readers in (1, 2):
        home = tmp_path / str(readers)
        measured = load_orders(home, tmp_path, postgres.url(database), rows=9000, readers=readers)
        assert measured.whole_seconds > 0
