"""The tables of types in the documentation, each line of which is loaded."""

import re
from pathlib import Path
from typing import Any

import pytest
from servers.postgres import Postgres

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

DOCS = Path(__file__).resolve().parents[2] / "docs" / "sources"


def rows_below(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading."""
    text = (DOCS / f"{page}.md").read_text().split(heading, 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in table[0].splitlines()[2:]
    ]


def code(cell: str) -> str:
    """Return what a cell shows as code."""
    found = re.search("`([^`]+)`", cell)
    assert found is not None
    return found[1]


def said(cell: str) -> str:
    """Return the value of a cell, which a remark may follow."""
    return re.split(r": (?=\*\*|no |a |truncated|JSON)", cell)[0]


def load(source: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return type and first value of each column of the table that a source is loaded into."""
    plugin = DltIngestionPlugin({"sources": [source]})
    plugin.load(plugin.create_pipeline(plugin.source(source["name"])))
    table = open_catalog().load_table(source["destination_table"])
    rows = table.scan().to_arrow()
    return {
        field.name: (str(field.field_type), str(rows[field.name][0].as_py()))
        for field in table.schema().fields
    }


@pytest.fixture
def home(floe_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "heading"), [("csv", "## CSV"), ("jsonl", "## JSON"), ("json", "## JSON")]
)
def test_each_value_of_a_file_gets_the_type_on_the_page(
    home: Path, kind: str, heading: str
) -> None:
    """One file has a column for each line of the table."""
    lines = rows_below("file-types", heading)
    values = [code(line[0]) for line in lines]
    names = [f"c{number}" for number in range(len(lines))]
    if kind == "csv":
        cells = [f'"{value}"' if "," in value else value for value in values]
        text = f"{','.join(names)}\n{','.join(cells)}\n"
    else:
        pairs = (f'"{name}": {value}' for name, value in zip(names, values, strict=True))
        text = f"{{{', '.join(pairs)}}}\n"
        text = f"[{text}]" if kind == "json" else text
    (home / "landing").mkdir()
    (home / f"landing/a.{kind}").write_text(text)
    source = {
        "name": "files",
        "source_type": "filesystem",
        "source_config": {"bucket_url": "landing", "format": kind},
        "destination_table": "bronze.files",
    }
    found = load(source)
    assert [found[name] for name in names] == [(code(line[1]), said(line[2])) for line in lines]


def test_each_type_of_postgresql_becomes_the_type_on_the_page(
    home: Path, postgres: Postgres
) -> None:
    """One table has a column for each line of the page's."""
    lines = rows_below("postgresql-types", "# PostgreSQL types")
    database = postgres.new_database()
    postgres.execute("create type mood as enum ('ok', 'bad')", database)
    postgres.execute("create type address as (number int, street text)", database)
    columns = ", ".join(f"c{number} {code(line[0])}" for number, line in enumerate(lines))
    postgres.execute(f"create table everything ({columns})", database)
    values = ", ".join(code(line[1]) for line in lines)
    postgres.execute(f"insert into everything values ({values})", database)
    source = {
        "name": "types",
        "source_type": "sql_database",
        "source_config": {"table_names": ["everything"]},
        "credentials": postgres.url(database, "postgresql+psycopg2"),
        "destination_table": "bronze.everything",
    }
    found = load(source)
    expected = [(code(line[2]), line[3]) for line in lines]
    assert [found[f"c{number}"] for number in range(len(lines))] == expected
