"""No output of a failed load contains values of its rows, unless the source allows it."""

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
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
@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_a_file_s_values_are_not_shown(
    files: Source,
    landing: Path,
    fails: Callable[[Source], str],
    file_format: str,
    data_type: str,
) -> None:
    if file_format == "parquet":
        pq.write_table(pa.table({"id": [1], "what": [SECRET]}), landing / "a.parquet")
    else:
        text = {"csv": f"id,what\n1,{SECRET}\n", "jsonl": f'{{"id": 1, "what": "{SECRET}"}}\n'}
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
        ("parquet", SECRET),
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
