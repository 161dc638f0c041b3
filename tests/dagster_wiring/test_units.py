from datetime import timedelta

import pytest

from floe_ingestion_defs.dagster_wiring.units import (
    as_sentence,
    format_age,
    format_limit,
    format_size,
)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_234, "1.2 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (12_345_678_901, "12.3 GB"),
        (2 * 10**18, "2,000.0 PB"),
    ],
)
def test_a_size_is_shown_in_the_largest_unit_that_fits(size: int, shown: str) -> None:
    assert format_size(size) == shown


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(days=4714, hours=3), "4,714 days"),
        (timedelta(hours=3), "3 hours"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(seconds=-1), "0 seconds"),
    ],
)
def test_an_age_is_shown_in_the_largest_unit_of_which_it_has_two(
    age: timedelta, shown: str
) -> None:
    assert format_age(age) == shown


@pytest.mark.parametrize(
    ("limit", "shown"),
    [
        (timedelta(days=40), "40 days"),
        (timedelta(hours=50), "50 hours"),
        (timedelta(hours=24), "1 day"),
        (timedelta(minutes=90), "90 minutes"),
    ],
)
def test_a_limit_is_shown_exactly(limit: timedelta, shown: str) -> None:
    """Rounded down like an age, 50 hours would be 2 days, and an age of 49 hours late."""
    assert format_limit(limit) == shown


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("new column 'gate' (text)", "New column 'gate' (text)"),
        ("flights-2014-01.csv: new column 'gate'", "flights-2014-01.csv: new column 'gate'"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_unless_a_name_is_first(message: str, shown: str) -> None:
    """The name of a file is shown as it is."""
    assert as_sentence(message) == shown
