"""Names and descriptions that a catalog does not accept are found before a load is committed.

Names of tables are shorter anyway: dlt's local files have them in their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from floe_ingestion_defs.branch import BRANCH_VARIABLE, branch_namespace
from floe_ingestion_defs.destinations import LoadRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from destinations.iceberg.conftest import Lake
    from pyiceberg.table.metadata import TableMetadata

LIMIT = 255


class RejectedByGlue(Exception):
    """The service's `ValidationException`."""


class LimitedCatalog(SqlCatalog):
    """A catalog that validates its input as AWS Glue does; the real one needs an account."""

    def _update_and_stage_table(self, *arguments: Any) -> Any:
        staged = super()._update_and_stage_table(*arguments)
        if any(len(text) > LIMIT for text in _texts(staged.name()[-1], staged.metadata)):
            msg = f"Member must have length less than or equal to {LIMIT}"
            raise RejectedByGlue(msg)
        return staged


def _texts(name: str, metadata: TableMetadata) -> Iterator[str]:
    """What pyiceberg sends of a table: its name, and each schema's top-level columns."""
    yield name
    for schema in metadata.schemas:
        for column in schema.columns:
            yield column.name
            yield column.doc or ""


GlueCatalog = type("GlueCatalog", (LimitedCatalog,), {"__module__": "pyiceberg.catalog.glue"})


@pytest.fixture
def glue(lake: Lake, home: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__URI", f"sqlite:///{home}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__WAREHOUSE", f"file://{home}/warehouse")
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__PY_CATALOG_IMPL", f"{__name__}.GlueCatalog")
    assert isinstance(lake.catalog, LimitedCatalog)
    return lake


def described(length: int, column: str = "id") -> Any:
    columns: Any = {column: {"data_type": "bigint", "description": "x" * length}}
    return dlt.resource([{column: 1}], name="t", columns=columns)


def named(length: int, letter: str = "n") -> Any:
    return dlt.resource([{letter * length: 1}], name="t")


@pytest.mark.parametrize("rows", [described, named])
def test_glue_accepts_255_characters(glue: Lake, rows: Callable[..., Any]) -> None:
    """A load with more is rejected before its commit, also where the table exists."""
    assert "has 256 characters" in str(glue.rejected(rows(LIMIT + 1)))
    assert glue.tables() == set()
    glue.load(rows(LIMIT))
    assert "has 256 characters" in str(glue.rejected(rows(LIMIT + 1, "v")))
    glue.load(rows(LIMIT, "w"))
    assert len(glue.rows("t")) == 2


def test_the_limit_holds_in_a_branch_deployment(
    glue: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its catalog is a subclass that confines it to the branch."""
    monkeypatch.setenv(BRANCH_VARIABLE, "feature")
    glue.dataset = branch_namespace("lake")
    assert isinstance(glue.rejected(described(LIMIT + 1)), LoadRefused)


def test_other_catalogs_accept_longer_descriptions(lake: Lake) -> None:
    lake.load(described(LIMIT + 1))
    assert lake.table("t").schema().find_field("id").doc == "x" * (LIMIT + 1)
