"""Every row of a source is loaded, or rejected and quarantined, or the load fails as a whole.

A small model says what each contract does with random rows; every type of source and every driver
must do the same.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dlt
import openpyxl
import psycopg2
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from floe_ingestion_defs.dlt_plugin import IngestionError, LoadResult

if TYPE_CHECKING:
    from pathlib import Path

Source = dict[str, Any]
Rows = list[dict[str, Any]]
Load = Callable[..., LoadResult]
Offer = Callable[[str, "Case"], Source]

CONTRACTS = ["evolve", "freeze", "discard_row", "discard_value"]
# In the seed of every run, values of an uncastable type and new columns occur.
SEEDS = [12, *(pytest.param(seed, marks=pytest.mark.all_cases) for seed in range(12))]
EARLY, LATE = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2025, 2, 3, tzinfo=UTC)
# By dlt's type: Arrow's type, PostgreSQL's, SQLite's, and values.
TYPES: dict[str, tuple[pa.DataType, str, str, list[Any]]] = {
    "bigint": (pa.int32(), "integer", "INTEGER", [0, 7, -5, 2_000_000_000]),
    "double": (pa.float64(), "double precision", "REAL", [1.5, -2.25, 1e30]),
    "text": (pa.string(), "text", "TEXT", ["x", "ten", "a,b", "12 apples"]),
    "bool": (pa.bool_(), "boolean", "BOOLEAN", [True, False]),
    "date": (pa.date32(), "date", "DATE", [date(2024, 1, 2), date(1999, 12, 31)]),
    "timestamp": (pa.timestamp("us", "UTC"), "timestamptz", "DATETIME", [EARLY, LATE]),
}
# Values of the source's type on the left never fit a column of the types on the right.
NEVER_FIT = {"text": {"bigint", "double", "date", "timestamp"}, "date": {"bool"}}


@dataclass(frozen=True)
class Case:
    """Rows of one source, whose columns have one type each, and the declared columns.

    Attributes:
        types: dlt's type of each column in the source.
        declared: The declared type of each column that is declared.
        rows: The rows.
    """

    types: dict[str, str]
    declared: dict[str, str]
    rows: Rows

    def unfit(self, row: dict[str, Any]) -> list[str]:
        """Return the columns whose value cannot be in the table."""
        return [
            name
            for name, value in row.items()
            if value is not None
            and (
                name not in self.declared
                or self.declared[name] in NEVER_FIT.get(self.types[name], ())
            )
        ]

    def table(self) -> pa.Table:
        schema = pa.schema([(name, TYPES[kind][0]) for name, kind in self.types.items()])
        return pa.Table.from_pylist(self.rows, schema=schema)


def make_case(seed: int) -> Case:
    choose = random.Random(seed)
    types = {"id": "bigint", "same": choose.choice(list(TYPES))}
    declared = {"id": "bigint", "same": types["same"]}
    if choose.random() < 0.8:
        types["other"] = choose.choice(list(NEVER_FIT))
        declared["other"] = choose.choice(sorted(NEVER_FIT[types["other"]]))
    if choose.random() < 0.6:
        types["extra"] = choose.choice(list(TYPES))

    def value(name: str, rate: float) -> Any:
        return choose.choice(TYPES[types[name]][3]) if choose.random() < rate else None

    rates = {"same": 0.8, "other": 0.3, "extra": 0.3}
    rows: Rows = [
        {name: number if name == "id" else value(name, rates[name]) for name in types}
        for number in range(choose.randrange(3, 12))
    ]
    # A column without any value has no type in a file.
    rows[0] |= {"same": value("same", 1.0)}
    return Case(types, declared, rows)


def as_json(rows: Rows) -> Rows:
    return [
        {k: v.isoformat() if isinstance(v, date) else v for k, v in row.items()} for row in rows
    ]


def write_excel(case: Case, path: Path) -> None:
    """Write the rows as a sheet, which has no time zones."""
    book = openpyxl.Workbook()
    (sheet,) = book.worksheets
    sheet.append(list(case.types))
    for row in case.rows:
        sheet.append([plain(value) for value in row.values()])
    with path.open("wb") as file:
        book.save(file)


@dlt.resource(name="things")
def rows_of(rows: Sequence[Any]) -> Any:
    """The factory of the sources of type `python`."""
    yield list(rows)


@pytest.fixture
def offer(
    request: pytest.FixtureRequest, landing: Path, database: Any, api: Any, home: Path
) -> Offer:
    """Makes a source of one type, read in one way, offer the rows of a case."""
    kind, _, variant = request.param.partition("-")

    def files(case: Case) -> Source:
        path = landing / f"rows.{variant}"
        if variant == "parquet":
            pq.write_table(case.table(), path)
        elif variant.startswith("csv"):
            pa_csv.write_csv(case.table(), path)
        elif variant == "excel":
            write_excel(case, path)
        elif variant == "json":
            path.write_text(json.dumps(as_json(case.rows), indent=1))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in as_json(case.rows)))
        return {
            "source_type": "filesystem",
            "source_config": {
                "bucket_url": str(landing),
                "file_glob": "*",
                "format": variant.removesuffix("_of_rows"),
                "newlines_in_values": variant == "csv_of_rows",
            },
        }

    def sqlite(case: Case) -> Source:
        columns = ", ".join(f"{name} {TYPES[kind][2]}" for name, kind in case.types.items())
        database.run(f"CREATE TABLE things ({columns})")
        marks = ", ".join("?" for _ in case.types)

        def stored(value: Any) -> Any:
            if isinstance(value, datetime):
                return value.replace(tzinfo=None).isoformat(" ", "microseconds")
            return value.isoformat() if isinstance(value, date) else value

        database.run(
            f"INSERT INTO things VALUES ({marks})",
            [tuple(stored(value) for value in row.values()) for row in case.rows],
        )
        return {
            "source_type": "sql_database",
            "credentials": database.url,
            "source_config": {"table_names": ["things"], "backend": variant},
        }

    def postgres(case: Case) -> Source:
        server = request.getfixturevalue("postgres")
        url = server.url(server.new_database())
        columns = ", ".join(f"{name} {TYPES[kind][1]}" for name, kind in case.types.items())
        connection = psycopg2.connect(url)
        with connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE things ({columns})")
            marks = ", ".join("%s" for _ in case.types)
            for row in case.rows:
                cursor.execute(f"INSERT INTO things VALUES ({marks})", list(row.values()))
        connection.close()
        return {
            "source_type": "sql_database",
            "credentials": url,
            "source_config": {"table_names": ["things"], "backend": variant},
        }

    def rest(case: Case) -> Source:
        api.rows, api.page_size = as_json(case.rows), 4
        paginator = {"type": "json_link", "next_url_path": "next"}
        endpoint = {"path": "things", "data_selector": "data"}
        return {
            "source_type": "rest_api",
            "source_config": {
                "client": {"base_url": api.url, "paginator": paginator},
                "resources": [{"name": "things", "endpoint": endpoint}],
                "pages_as_arrow": variant == "arrow",
            },
        }

    def python(case: Case) -> Source:
        rows = [case.table()] if variant == "arrow" else case.rows
        return {
            "source_type": "python",
            "source_config": {
                "factory": f"{__name__}:rows_of",
                "arguments": {"rows": rows},
                "resource_names": ["things"],
            },
        }

    makers = {"files": files, "sqlite": sqlite, "postgres": postgres, "rest": rest}
    make = makers.get(kind, python)

    def offer(contract: str, case: Case) -> Source:
        return {
            **make(case),
            "name": "things",
            "destination_table": "bronze.things",
            "columns": case.declared,
            "schema_contract": contract,
            "quarantine": contract.startswith("discard"),
        }

    return offer


@pytest.mark.parametrize(
    "offer",
    [
        *("files-csv", "files-csv_of_rows", "files-jsonl", "files-json", "files-parquet"),
        *("files-excel", "sqlite-pyarrow", "sqlite-sqlalchemy"),
        *("postgres-adbc", "postgres-pyarrow", "postgres-connectorx", "postgres-sqlalchemy"),
        *("rest-arrow", "rest-rows", "python-arrow", "python-rows"),
    ],
    indirect=True,
)
@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_is_loaded_or_rejected_or_the_load_fails(
    offer: Offer,
    contract: str,
    seed: int,
    load: Load,
    rows: Callable[[str], Rows],
    tables: Callable[[], set[str]],
) -> None:
    case = make_case(seed)
    unfit = {row["id"]: case.unfit(row) for row in case.rows if case.unfit(row)}
    misfit = any(name in case.declared for names in unfit.values() for name in names)
    source = offer(contract, case)
    if (contract == "freeze" and unfit) or (contract == "evolve" and misfit):
        evolved = load_or_fail(load, source)
        # An API's values of another type become dlt's variant columns.
        assert evolved is None or contract == "evolve"
        if evolved is None:
            assert tables() == set()
            return
        unfit = {}
    else:
        evolved = load(source)
    loaded = rows("bronze.things") if "bronze.things" in tables() else []
    rejected = evolved.resources["things"].rejected
    dropped = set(unfit) if contract == "discard_row" else set()
    assert {row["id"] for row in loaded} == {row["id"] for row in case.rows} - dropped
    assert evolved.rows_loaded == len(loaded) == len(case.rows) - len(dropped)
    assert rejected.rows == len(dropped)
    kept = rows("bronze.things__rejected") if dropped else []
    assert {json.loads(row["row"])["id"] for row in kept} == dropped
    values = Counter(name for names in unfit.values() for name in names)
    assert rejected.values_by_column == (values if contract == "discard_value" else {})
    by_id = {row["id"]: row for row in case.rows}
    for row in loaded:
        # Drivers of SQLite and CSV have no time zones; the date and the time are the same.
        assert plain(row["same"]) == plain(by_id[row["id"]]["same"])
        if contract != "evolve":
            assert row.keys() == case.declared.keys()


def load_or_fail(load: Load, source: Source) -> LoadResult | None:
    try:
        return load(source)
    except IngestionError:
        return None


def plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
