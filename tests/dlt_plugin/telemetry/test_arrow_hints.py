"""dlt's warning about hints that differ from those of Arrow columns appears where it matters."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pytest

from floe_ingestion_defs.dlt_plugin import LoadResult

WARNING = "when merging arrow schema"
ROWS = pa.table({"id": pa.array([1, 2], pa.int32()), "at": pa.array([0, 1], pa.timestamp("ms"))})


@dlt.resource(
    name="events",
    columns={
        "id": {"data_type": "bigint", "precision": 64, "nullable": False},
        "at": {"data_type": "timestamp", "precision": 6, "timezone": True},
    },
)
def events() -> Iterator[Any]:
    yield ROWS


@dlt.resource(name="events", columns={"id": {"data_type": "text"}})
def events_of_another_type() -> Iterator[Any]:
    yield ROWS


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """Return dlt's warnings; its log does not propagate to the one that pytest captures."""
    logger = logging.getLogger("dlt")
    logger.addHandler(caplog.handler)
    yield lambda: [record.getMessage() for record in caplog.records if record.name == "dlt"]
    logger.removeHandler(caplog.handler)


@pytest.mark.parametrize(
    ("factory", "is_shown"), [("events", False), ("events_of_another_type", True)]
)
def test_the_warning_appears_only_where_a_data_type_differs(
    factory: str,
    is_shown: bool,
    load: Callable[..., LoadResult],
    warnings: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    load(
        {
            "name": "events",
            "source_type": "python",
            "source_config": {
                "factory": f"test_arrow_hints:{factory}",
                "resource_names": ["events"],
            },
            "destination_table": "bronze.events",
        }
    )
    assert any(WARNING in warning for warning in warnings()) == is_shown
