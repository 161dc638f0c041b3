"""No output of a failed load contains values of its rows, unless the source allows it."""

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
import pytest
from dlt_plugin.conftest import Api, Database

from floe_ingestion_defs.dlt_plugin import IngestionError, LoadResult
from floe_ingestion_defs.dlt_plugin.errors.row_values import described_without_values

Source = dict[str, Any]
Load = Callable[..., LoadResult]
SECRET = "Jane Doe 123-45-6789"
TYPES = ("bigint", "double", "decimal", "date", "timestamp", "time", "bool")


class Person(pydantic.BaseModel):
    """A row of a user's own source, which is validated in it."""

    age: int


@dlt.source
def people(kind: str) -> Any:
    """Return a source that fails on a value, in the way that its argument names."""

    @dlt.resource(name="person")
    def person() -> Iterator[Any]:
        match kind:
            case "cast":
                yield {"age": int(SECRET)}
            case "lookup":
                ages: dict[str, int] = {}
                yield {"age": ages[SECRET]}
            case "model":
                yield {"age": Person.model_validate({"age": SECRET}).age}
            case "arrow":
                yield pa.table({"age": pa.array([SECRET]).cast(pa.int64())})
            case _:
                yield object.__new__(type(SECRET, (), {}))

    return person


def write_excel(path: Path, rows: list[list[Any]]) -> None:
    """Write rows as the only sheet of an Excel file."""
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    with path.open("wb") as file:
        book.save(file)


@pytest.fixture
def fails(
    load: Load, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[[Source], str]:
    """Loads a source that must fail, and returns everything that was reported about it."""

    def fails(source: Source) -> str:
        caplog.set_level(logging.DEBUG)
        caplog.clear()
        with pytest.raises(IngestionError) as failed:
            load(source)
        written = capfd.readouterr()
        trace = "".join(traceback.format_exception(failed.value))
        return "\n".join([str(failed.value), trace, written.out, written.err, caplog.text])

    return fails


@pytest.mark.parametrize("data_type", TYPES)
@pytest.mark.parametrize("file_format", ["csv", "jsonl", "json", "parquet", "excel"])
def test_a_file_s_values_are_not_shown(
    files: Source,
    landing: Path,
    fails: Callable[[Source], str],
    file_format: str,
    data_type: str,
) -> None:
    if file_format == "parquet":
        pq.write_table(pa.table({"id": [1], "what": [SECRET]}), landing / "a.parquet")
    elif file_format == "excel":
        write_excel(landing / "a.excel", [["id", "what"], [1, SECRET]])
    else:
        text = {"csv": f"id,what\n1,{SECRET}\n", "jsonl": f'{{"id": 1, "what": "{SECRET}"}}\n'}
        text["json"] = f"[{text['jsonl']}]"
        (landing / f"a.{file_format}").write_text(text[file_format])
    options = {**files["source_config"], "format": file_format, "file_glob": f"*.{file_format}"}
    output = fails({**files, "source_config": options, "columns": {"what": data_type}})
    assert SECRET not in output
    assert f"a.{file_format}" in output
    assert "'what'" in output


@pytest.mark.parametrize(
    ("file_format", "text"),
    [
        ("csv", f'id,what\n1,"{SECRET}\n2,3\n'),
        ("csv", f"id,what\n1,2,{SECRET}\n"),
        ("csv", f"id,what\n{SECRET}\n"),
        ("csv", f"id,what\n1,2\n3,{SECRET}\xff\n"),
        ("jsonl", f'{{"id": 1}}\n{SECRET}\n'),
        ("jsonl", f'{{"id": 1}}\n{{"id": "{SECRET}"}}\n'),
        ("jsonl", f'{{"id": 1}}\n["{SECRET}"]\n'),
        ("jsonl", f'{{"id": 1, "id": "{SECRET}"}}\n'),
        ("json", f'[{{"id": 1}}, "{SECRET}"]'),
        ("json", f'[{{"id": 1, "name": "{SECRET}"'),
        ("json", f'[{{"id": 1}}] {SECRET}'),
        ("json", SECRET),
        ("parquet", SECRET),
        ("excel", SECRET),
    ],
)
def test_a_broken_file_s_text_is_not_shown(
    files: Source, landing: Path, fails: Callable[[Source], str], file_format: str, text: str
) -> None:
    (landing / f"a.{file_format}").write_bytes(text.encode("latin-1"))
    options = {**files["source_config"], "format": file_format, "file_glob": f"*.{file_format}"}
    output = fails({**files, "source_config": options})
    assert SECRET not in output
    assert f"a.{file_format}" in output


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f"id,what\n1,{SECRET}\n", {"date_formats": {"what": "%d.%m.%Y"}}),
        (f"id,what\n1,{SECRET}\n", {"decimal_comma": ["what"]}),
        (f"id||what\n1||{SECRET}||{SECRET}\n", {"delimiter": "||"}),
        (f'id,what\n1,"{SECRET}\n{SECRET}",3\n', {"newlines_in_values": True}),
        (f'id,what\n1,"{SECRET}\n' + "x" * 70_000, {"newlines_in_values": True}),
        (f"id,what\n1,x{SECRET * 20_000}\n2,y\n", {}),
        (f"id,what\n1,9007199254740993\n2,0.5\n{SECRET},1\n", {}),
    ],
)
def test_the_values_of_another_dialect_are_not_shown(
    files: Source,
    landing: Path,
    fails: Callable[[Source], str],
    text: str,
    options: dict[str, Any],
) -> None:
    (landing / "a.csv").write_text(text)
    settings = {**files["source_config"], "block_size": 65536, **options}
    output = fails({**files, "source_config": settings})
    assert SECRET not in output
    assert "a.csv" in output


def test_a_row_in_place_of_a_header_is_not_shown(
    files: Source, landing: Path, fails: Callable[[Source], str]
) -> None:
    (landing / "a.csv").write_text("id,what\n1,x\n")
    (landing / "b.csv").write_text(f"2,{SECRET}\n3,y\n")
    output = fails(files)
    assert SECRET not in output
    assert "b.csv" in output
    (landing / "b.csv").unlink()
    (landing / "b.xlsx").unlink(missing_ok=True)
    write_excel(landing / "b.xlsx", [["id"], [1, SECRET]])
    options = {**files["source_config"], "format": "excel", "file_glob": "*.xlsx"}
    output = fails({**files, "source_config": options})
    assert SECRET not in output
    assert "b.xlsx" in output


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "json", "parquet", "excel"])
@pytest.mark.parametrize("contract", ["freeze", "discard_row", "discard_value"])
def test_what_a_contract_rejects_from_a_file_is_not_shown(
    files: Source,
    landing: Path,
    load: Load,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    file_format: str,
    contract: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    path = landing / f"a.{file_format}"
    row = f'{{"id": 1, "what": "{SECRET}", "new": "{SECRET}"}}\n'
    if file_format == "parquet":
        columns = {"id": [1], "what": [SECRET], "new": [SECRET]}
        pq.write_table(pa.table(columns), path)
    elif file_format == "excel":
        write_excel(path, [["id", "what", "new"], [1, SECRET, SECRET]])
    else:
        csv = f"id,what,new\n1,{SECRET},{SECRET}\n"
        path.write_text({"csv": csv, "jsonl": row, "json": f"[{row}]"}[file_format])
    options = {**files["source_config"], "format": file_format, "file_glob": "*"}
    source = {**files, "source_config": options, "schema_contract": contract}
    source["columns"] = {"id": "bigint", "what": "bigint"}
    try:
        reported = repr(load(source))
    except IngestionError as error:
        reported = "".join(traceback.format_exception(error))
        assert contract == "freeze"
    written = capfd.readouterr()
    assert SECRET not in "\n".join([reported, written.out, written.err, caplog.text])


@pytest.mark.parametrize("backend", ["sqlalchemy", "pyarrow"])
def test_a_database_s_values_are_not_shown(
    shop: Source, database: Database, fails: Callable[[Source], str], backend: str
) -> None:
    """SQLite stores any text in a column of dates, and SQLAlchemy quotes it."""
    database.run("UPDATE orders SET day = ?", [(SECRET,)])
    output = fails({**shop, "source_config": {**shop["source_config"], "backend": backend}})
    assert SECRET not in output
    assert "ValueError" in output
    assert "show_values" in output


@pytest.mark.parametrize("kind", ["cast", "lookup", "model", "arrow", "unknown type"])
def test_the_values_in_errors_of_user_code_are_not_shown(
    fails: Callable[[Source], str], kind: str
) -> None:
    output = fails(_python_source(kind))
    assert SECRET not in output
    if kind in ("cast", "lookup", "model", "arrow"):
        assert f"{Path(__file__).name}, line " in output
    if kind == "model":
        assert "Person" in output
        assert "age: int_parsing" in output


def test_the_values_in_errors_of_user_code_are_shown_where_that_is_allowed(
    fails: Callable[[Source], str],
) -> None:
    assert f"invalid literal for int() with base 10: '{SECRET}'" in fails(
        {**_python_source("cast"), "show_values": True}
    )


def test_an_api_s_values_are_not_shown(
    items: Source, api: Api, fails: Callable[[Source], str]
) -> None:
    """Rows whose cursor has another type than the configuration."""
    api.rows = [{"id": 1, "at": SECRET}, {"id": 2, "at": 5}]
    output = fails({**items, "cursor_field": "at"})
    assert SECRET not in output
    api.rows = []
    api.script = [(200, {}, f'{{"data": [{{"id": "{SECRET}"}}'.encode())]
    output = fails(items)
    assert SECRET not in output
    assert "not valid JSON" in output


def _python_source(kind: str) -> Source:
    return {
        "name": "people",
        "source_type": "python",
        "source_config": {
            "factory": f"{__name__}:people",
            "arguments": {"kind": kind},
            "resource_names": ["person"],
        },
        "destination_table": "bronze.{resource}",
    }


def test_a_database_s_message_is_shown_without_what_it_quotes() -> None:
    class InvalidTextRepresentation(Exception):
        sqlstate = "22P02"

    error = InvalidTextRepresentation(
        f'invalid input syntax for type integer: "{SECRET}"\nCONTEXT:  line 1: {SECRET}'
    )
    shown = described_without_values([error])
    assert shown is not None
    assert "invalid input syntax for type integer" in shown
    assert SECRET not in shown
