"""All types of dlt with all precisions have the values that they have on `duckdb`."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dlt_suite.runs import Run

AT = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
EASTERN = timezone(timedelta(hours=-5))


def cases() -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Yield the hints of a column, and values of its type."""
    for bits in (None, 8, 16, 32, 64):
        limit = 2 ** ((bits or 64) - 1)
        yield {"data_type": "bigint", "precision": bits}, [-limit, limit - 1, 0]
    for digits, scale in ((1, 0), (9, 2), (18, 9), (19, 0), (38, 0), (38, 9), (38, 37)):
        hints = {"data_type": "decimal", "precision": digits, "scale": scale}
        yield hints, [Decimal((sign, (9,) * digits, -scale)) for sign in (0, 1)]
    yield {"data_type": "decimal"}, [Decimal("1.5"), Decimal("-12345678901234567890.123456789")]
    yield {"data_type": "wei"}, [Decimal(10**30), Decimal(-(10**20)), Decimal(0)]
    yield from timestamps_and_times()
    yield {"data_type": "date"}, [date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31)]
    for length in (None, 1, 255):
        yield {"data_type": "text", "precision": length}, ["", "ü", "\U0001f9ca"]
        # dlt writes binary values with a precision as values of exactly that length.
        values = [byte * (length or 3) for byte in (b"\x00", b"\xff")]
        yield {"data_type": "binary", "precision": length}, values
    yield {"data_type": "double"}, [0.1, -1e300, 5e-324]
    yield {"data_type": "bool"}, [True, False]
    yield {"data_type": "json"}, [{"a": [1, {"b": None}]}, [], {"ü": 1.5}]


def timestamps_and_times() -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Yield the same for the types whose values have fractions of a second."""
    fractions = {None: 123456, 0: 0, 3: 123000, 6: 123456, 9: 123456}
    for (precision, fraction), zone in itertools.product(fractions.items(), (None, True, False)):
        at = AT.replace(microsecond=fraction)
        values = [at, at.astimezone(EASTERN)] if zone is not False else [at.replace(tzinfo=None)]
        yield {"data_type": "timestamp", "precision": precision, "timezone": zone}, values
    for precision in (None, 0, 3, 6):
        times = [time(1, 2, 3, fractions[precision]), time(23, 59, 59)]
        yield {"data_type": "time", "precision": precision}, times


def table(disposition: Any, load: int) -> Any:
    """A resource with a column per case, each with all of its values and a null."""
    columns: dict[str, Any] = {"id": {"data_type": "bigint"}}
    rows: list[dict[str, Any]] = [{"id": n + load} for n in range(4)]
    for number, (hints, values) in enumerate(cases()):
        name = f"{hints['data_type']}_{number}"
        columns[name] = {k: v for k, v in hints.items() if v is not None}
        for row, value in zip(rows, values[load:] + values[:load], strict=False):
            row[name] = value
    return dlt.resource(
        rows, name="types", primary_key="id", columns=columns, write_disposition=disposition
    )


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_every_type_with_every_precision_has_the_values_it_has_on_duckdb(
    same: Callable[[Any], Any], disposition: str
) -> None:
    def program(run: Run) -> None:
        for load in range(2):
            run.pipeline().run(table(disposition, load))

    assert len(same(program)["types"]) == {"append": 8, "merge": 5}[disposition]
