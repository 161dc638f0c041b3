"""A table `orders` that an operator changes so that loads do not fit it, and repairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.types import LongType

from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake

    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView


def dataset_of(lake: Lake) -> Dataset:
    return Dataset(lake.catalog, lake.dataset)


def read(lake: Lake) -> LogView:
    view = dataset_of(lake).log.read()
    assert view is not None
    return view


def spoil(lake: Lake) -> None:
    """Give the name of a column to one of another type, which loads do not fit."""
    with lake.table("orders").update_schema(allow_incompatible_changes=True) as update:
        update.rename_column("note", "remark")
    with lake.table("orders").update_schema(allow_incompatible_changes=True) as update:
        update.add_column("note", LongType())


def repair(lake: Lake) -> None:
    with lake.table("orders").update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("note")
    with lake.table("orders").update_schema(allow_incompatible_changes=True) as update:
        update.rename_column("remark", "note")
