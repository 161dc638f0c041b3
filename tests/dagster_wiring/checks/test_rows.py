import random
from collections.abc import Callable

import pyarrow as pa
import pytest
from pyiceberg.table import Table

from floe_ingestion_defs.dagster_wiring.checks.not_null import check_not_null
from floe_ingestion_defs.dagster_wiring.checks.row_counts import check_row_count_change
from floe_ingestion_defs.dagster_wiring.checks.unique_key import check_unique_key
from floe_ingestion_defs.dagster_wiring.settings.checks import RowCountChangeCheck

MakeTable = Callable[..., Table]


def ids(*values: int | None) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int64())})


def test_a_duplicate_key_within_a_load_is_found(make_table: MakeTable) -> None:
    """The check reports the number of keys, not their values, which may be personal data."""
    result = check_unique_key(make_table(ids(1, 2, 2, 3, 3, 3)), ["id"], appended=False)

    assert not result.passed
    assert result.metadata["keys_duplicated"] == 2


def test_a_key_of_an_earlier_load_is_found_where_loads_append(make_table: MakeTable) -> None:
    """Only the files that may hold a key of the load are read."""
    table = make_table(ids(*range(100)), ids(*range(100, 200)), ids(150, 500))

    result = check_unique_key(table, ["id"], appended=True)

    assert not result.passed
    assert result.metadata["keys_existing_before"] == 1
    assert result.metadata["earlier_files_read"] == 1


def test_unique_keys_pass(make_table: MakeTable) -> None:
    """A load with only new keys passes."""
    assert check_unique_key(make_table(ids(1, 2), ids(3, 4)), ["id"], appended=True).passed


def test_a_key_of_several_columns_is_one_key(make_table: MakeTable) -> None:
    """Single columns may repeat, the combination may not."""
    rows = pa.table({"origin": ["JFK", "JFK", "LGA"], "hour": [1, 2, 1]})

    assert check_unique_key(make_table(rows), ["origin", "hour"], appended=False).passed


@pytest.mark.parametrize("keys_a_pass", [1, 2, 10_000])
def test_more_keys_than_fit_into_memory_are_checked_in_passes(
    make_table: MakeTable, keys_a_pass: int
) -> None:
    """In any number of passes each key is looked up once; a null is not a key."""
    values = random.Random(7).sample(range(1000), 1000)
    table = make_table(ids(*values), ids(999, 0, 5000, None, None))

    result = check_unique_key(table, ["id"], appended=True, keys_a_pass=keys_a_pass)

    assert result.metadata["keys_existing_before"] == 2
    assert result.metadata["keys_duplicated"] == 0


def test_repetitions_are_counted_the_same_in_any_number_of_passes(make_table: MakeTable) -> None:
    """Ranges neither overlap nor leave a gap."""
    table = make_table(ids(*[n // 2 for n in range(2000)]))

    counts = {
        check_unique_key(table, ["id"], appended=False, keys_a_pass=size).metadata[
            "keys_duplicated"
        ]
        for size in (7, 100, 5000)
    }

    assert counts == {1000}


def test_a_missing_value_is_found_without_reading_a_row(make_table: MakeTable) -> None:
    """The files' statistics count them, and a number of them can be plotted over time."""
    result = check_not_null(make_table(ids(1, None, 3), ids(None)), ["id"])

    assert not result.passed
    assert result.metadata["missing_values"] == 2
    (record,) = result.metadata["columns"].records
    assert record.data == {"column": "id", "missing": "2"}


def test_a_required_column_that_the_table_lacks_is_found(make_table: MakeTable) -> None:
    """A column that is not there has no value anywhere."""
    result = check_not_null(make_table(ids(1)), ["id", "name"])

    assert not result.passed
    assert result.summary == "The table has no column `name`."


def test_complete_columns_pass(make_table: MakeTable) -> None:
    """Every row has what it must have, and nothing empty is shown."""
    result = check_not_null(make_table(ids(1, 2)), ["id"])

    assert result.passed
    assert result.metadata == {"missing_values": 0}


@pytest.mark.parametrize(
    ("settings", "passed"),
    [
        ({"max_decrease": 0.1}, True),
        ({"max_decrease": None, "max_increase": 0.5}, True),
        ({"max_decrease": None, "max_increase": 0.2}, False),
    ],
)
def test_a_load_may_change_the_number_of_rows_by_a_share(
    make_table: MakeTable, settings: dict[str, float | None], *, passed: bool
) -> None:
    """Eight rows became ten: a quarter more."""
    table = make_table(ids(*range(8)), ids(8, 9))

    result = check_row_count_change(table, RowCountChangeCheck(**settings))

    assert result.passed is passed
    assert result.metadata["share_changed"] == 0.25


def test_a_table_that_loses_rows_is_found(make_table: MakeTable) -> None:
    """As after an export that was truncated."""
    table = make_table(ids(*range(10)))
    table.overwrite(ids(1, 2, 3))

    result = check_row_count_change(table, RowCountChangeCheck())

    assert not result.passed
    assert (result.metadata["rows_before"], result.metadata["rows"]) == (10, 3)


def test_the_first_load_changes_nothing(make_table: MakeTable) -> None:
    """There is nothing to compare with."""
    assert check_row_count_change(make_table(ids(1)), RowCountChangeCheck(max_increase=0)).passed
