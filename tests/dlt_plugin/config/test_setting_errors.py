"""A wrong setting is a CONFIGURATION error that names it, before the load where possible."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    ErrorCategory,
    IngestionError,
    LoadResult,
    categorize_error,
)
from floe_ingestion_defs.dlt_plugin.config.source_options.paginators import PAGINATORS, REQUIRED

Source = dict[str, Any]
Load = Callable[..., LoadResult]


def message_of(wrong: pytest.ExceptionInfo[IngestionError]) -> str:
    assert categorize_error(wrong.value) is ErrorCategory.CONFIGURATION
    return wrong.value.message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"destination_table": None},
            "destination_table: it has no value; use namespace.table, such as 'bronze.orders'",
        ),
        (
            {"cursor_field": "at", "lag": "1 hour"},
            "lag: '1 hour' is not a number; use seconds for timestamps and days for dates",
        ),
        (
            {
                "cursor_field": "at",
                "initial_value": "yesterday",
                "columns": {"at": "timestamp"},
            },
            "initial_value is 'yesterday', but cursor_field 'at' is declared as timestamp; use a",
        ),
        (
            {"cursor_field": "n", "initial_value": "first", "columns": {"n": "bigint"}},
            "initial_value is 'first', but cursor_field 'n' is declared as bigint; use a number",
        ),
    ],
)
def test_a_setting_is_rejected_at_definition_time(
    settings: Source, message: str, files: Source
) -> None:
    with pytest.raises(IngestionError) as wrong:
        DltIngestionPlugin({"sources": [{**files, **settings}]})
    assert message_of(wrong).startswith(f"source 'files': {message}")


@pytest.mark.parametrize(
    "settings",
    [
        {"cursor_field": "at", "lag": "3600"},
        {"cursor_field": "at", "initial_value": "${SINCE}", "columns": {"at": "timestamp"}},
        {"cursor_field": "at", "initial_value": "2024-01-01", "columns": {"at": "timestamp"}},
        {"cursor_field": "at", "initial_value": "b", "columns": {"at": "text"}},
    ],
)
def test_settings_that_are_right_are_accepted(settings: Source, files: Source) -> None:
    assert DltIngestionPlugin({"sources": [{**files, **settings}]})


@pytest.mark.parametrize(
    ("paginator", "message"),
    [
        ("jsonlink", "'jsonlink' is not a type of paginator; did you mean 'json_link'?"),
        (
            {"type": "json_link", "next_path": "next"},
            "a paginator of type 'json_link' has no field 'next_path'; did you mean "
            "'next_url_path'?",
        ),
        ({"type": "offset"}, "a paginator of type 'offset' requires 'limit', such as limit: 100"),
    ],
)
@pytest.mark.parametrize("place", ["client", "endpoint"])
def test_a_paginator_is_rejected_at_definition_time(
    place: str, paginator: Any, message: str, items: Source
) -> None:
    config = items["source_config"]
    of = config["client"] if place == "client" else config["resources"][0]["endpoint"]
    of["paginator"] = paginator
    with pytest.raises(IngestionError) as wrong:
        DltIngestionPlugin({"sources": [items]})
    assert message_of(wrong).endswith(f"paginator: {message}")


def test_the_known_paginators_are_those_of_dlt() -> None:
    from dlt.sources.rest_api.config_setup import PAGINATOR_MAP

    assert PAGINATOR_MAP.keys() <= PAGINATORS.keys()
    for kind, paginator in PAGINATOR_MAP.items():
        parameters = {} if paginator is None else inspect.signature(paginator).parameters
        assert parameters.keys() <= PAGINATORS[kind]
        required = {n for n, one in parameters.items() if one.default is inspect.Parameter.empty}
        assert required == ({REQUIRED[kind]} if kind in REQUIRED else set())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"cursor_field": "updatd"},
            "cursor_field of resource 'items' names 'updatd', which is not a column of its rows; "
            "their columns are id, at",
        ),
        (
            {"cursor_field": "at", "initial_value": "yesterday"},
            "initial_value of resource 'items' cannot be compared with column 'at', which is "
            "date32[day]; use a date or timestamp in ISO 8601, such as '2024-01-01'",
        ),
        (
            {"partition_by": "month(updatd)"},
            "partition_by: Table `bronze.items` cannot be partitioned by `updatd`, which is not "
            "one of its columns: id, at.",
        ),
        (
            {"write_mode": "merge", "primary_key": "idd"},
            "primary_key or merge_key names idd, of which no row of table 'items' has a value; "
            "use the names of its columns",
        ),
    ],
)
def test_a_setting_that_names_no_column_is_named(
    settings: Source, message: str, files: Source, landing: Path, load: Load
) -> None:
    """The columns of files are known when they are read; nothing is published."""
    (landing / "a.csv").write_text("id,at\n1,2024-01-01\n")
    with pytest.raises(IngestionError) as wrong:
        load({**files, **settings})
    assert message_of(wrong) == message


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Source]:
    """Writes a module of a user's, and returns a source of its function."""

    def module(code: str) -> Source:
        (tmp_path / "code_of_a_user.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "code_of_a_user", raising=False)
        return {
            "name": "mine",
            "source_type": "python",
            "source_config": {"factory": "code_of_a_user:rows", "resource_names": ["rows"]},
            "destination_table": "bronze.{resource}",
        }

    return module


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "import dlt\nimport no_such_library\n",
            "ModuleNotFoundError: No module named 'no_such_library'; pip install 'no_such_library'",
        ),
        ("import dlt\nhalf = 1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_an_error_in_a_user_s_module_is_said_to_be_there(
    code: str, reason: str, module: Callable[[str], Source], load: Load
) -> None:
    with pytest.raises(IngestionError) as wrong:
        load(module(code))
    assert message_of(wrong) == (
        "source_config.factory: importing module code_of_a_user failed in code_of_a_user.py, "
        f"line 2, <module>: {reason}"
    )


def test_a_cursor_that_rows_of_python_lack_is_named(
    module: Callable[[str], Source], load: Load
) -> None:
    code = "import dlt\n@dlt.resource\ndef rows():\n    yield {'id': 1}\n"
    with pytest.raises(IngestionError) as wrong:
        load({**module(code), "cursor_field": "updatd"})
    assert message_of(wrong).startswith(
        "cursor_field of resource 'rows' names 'updatd', which a row does not have; correct it"
    )
    assert wrong.value.destination_table == "bronze.rows"


def test_an_error_names_the_table_and_a_missing_variable_once(shop: Source, load: Load) -> None:
    source = {**shop, "credentials": {"username": "${NOT_SET}", "password": "${NOT_SET}"}}
    with pytest.raises(IngestionError) as wrong:
        load(source)
    assert message_of(wrong).count("NOT_SET") == 1
    assert "[source shop, type sql_database, table bronze.shop_orders" in str(wrong.value)
