"""Patterns of `table_names` in a `defs.yaml`: the tables are listed once, and stored by Dagster."""

import asyncio
import importlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTree, ComponentTreeException

from floe_ingestion_defs.components import IngestionComponent
from floe_ingestion_defs.destinations import open_catalog

LoadLocation = Callable[..., dg.Definitions]

SHOP = """
type: floe_ingestion_defs.components.IngestionComponent
attributes:
  sources:
    - name: shop
      source_type: sql_database
      credentials: sqlite:///shop.db
      source_config: {table_names: "sales_*"}
      destination_table: bronze.{resource}
      resources: {sales_2024: {write_mode: replace}}
      orchestration:
        resources: {sales_2024: {group_name: archive}}
    - name: named
      source_type: sql_database
      credentials: sqlite:///elsewhere.db
      source_config: {table_names: [orders]}
      destination_table: bronze.orders
"""
BOTH = {"ingestion__named__orders", "ingestion__shop__sales_2024"}


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path) -> None:
    create_table("sales_2024")


def create_table(name: str) -> None:
    with closing(sqlite3.connect("shop.db")) as connection, connection:
        connection.execute(f"CREATE TABLE {name} (id integer primary key)")
        connection.execute(f"INSERT INTO {name} VALUES (1)")


def keys_of(definitions: dg.Definitions) -> set[str]:
    """Return the keys of the assets that the location loads."""
    graph = definitions.resolve_asset_graph()
    return {key.to_user_string() for key in graph.materializable_asset_keys}


def components(folder: Path) -> list[IngestionComponent]:
    tree = ComponentTree.for_project(folder)
    return list(tree.get_all_components(of_type=IngestionComponent))


def refresh(folder: Path) -> None:
    """Refresh the state of each component, as `dg utils refresh-defs-state` does."""
    for component in components(folder):
        asyncio.run(component.refresh_state(folder))


def load_again(folder: Path) -> dg.Definitions:
    (package,) = (file.parent for file in folder.glob("*/definitions.py"))
    loaded = importlib.import_module(f"{package.name}.definitions").defs()
    assert isinstance(loaded, dg.Definitions)
    return loaded


def test_a_location_loads_from_the_stored_list_without_a_connection(
    load_location: LoadLocation, tmp_path: Path
) -> None:
    """New tables appear after the next refresh; a resource's settings apply to its table."""
    with pytest.raises(ComponentTreeException) as error:
        load_location(shop=SHOP)
    assert "source 'shop': source_config.table_names has patterns" in str(error.value.__cause__)
    assert "run `dg utils refresh-defs-state`" in str(error.value.__cause__)
    refresh(tmp_path)
    create_table("sales_2025")
    Path("shop.db").rename("moved.db")
    definitions = load_again(tmp_path)
    assert keys_of(definitions) == BOTH
    spec = definitions.resolve_asset_graph().get(dg.AssetKey("ingestion__shop__sales_2024"))
    assert spec.group_name == "archive"
    Path("moved.db").rename("shop.db")
    refresh(tmp_path)
    definitions = load_again(tmp_path)
    assert keys_of(definitions) == BOTH | {"ingestion__shop__sales_2025"}
    assets = list(definitions.resolve_all_asset_keys())
    shop = [key for key in assets if key.to_user_string().startswith("ingestion__shop__")]
    job = definitions.get_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=shop).success
    assert open_catalog().load_table("bronze.sales_2025").scan().count() == 1


def test_a_list_that_an_image_lacks_is_an_error_with_the_remedy(
    load_location: LoadLocation, tmp_path: Path
) -> None:
    """Where the folder of the state cannot be created, as by the user of an image."""
    with pytest.raises(ComponentTreeException):
        load_location(shop=SHOP)
    (folder,) = tmp_path.rglob(".local_defs_state")
    shutil.rmtree(folder)
    folder.touch()
    with pytest.raises(ComponentTreeException) as error:
        load_again(tmp_path)
    assert "run `dg utils refresh-defs-state`" in str(error.value.__cause__)


def test_a_failed_refresh_keeps_the_stored_list(
    load_location: LoadLocation, tmp_path: Path
) -> None:
    with pytest.raises(ComponentTreeException):
        load_location(shop=SHOP)
    refresh(tmp_path)
    with closing(sqlite3.connect("shop.db")) as connection:
        connection.execute("DROP TABLE sales_2024")
    with pytest.raises(Exception, match=r"'sales_\*', which matches none of the 0 tables"):
        refresh(tmp_path)
    assert keys_of(load_again(tmp_path)) == BOTH


def test_dagster_dev_lists_the_tables_at_each_load(
    load_location: LoadLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    assert keys_of(load_location(shop=SHOP)) == BOTH


def test_a_component_without_patterns_has_no_state(
    load_location: LoadLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    load_location(shop=SHOP.replace('"sales_*"', "[sales_2024]"))
    (component,) = components(tmp_path)
    assert not component.needs_tables
    assert not list(tmp_path.rglob(".local_defs_state"))


def test_a_stored_list_that_is_not_valid_is_an_error_with_the_remedy(
    load_location: LoadLocation, tmp_path: Path
) -> None:
    with pytest.raises(ComponentTreeException):
        load_location(shop=SHOP)
    refresh(tmp_path)
    (state,) = tmp_path.rglob(".local_defs_state/*/state")
    state.write_text("{}")
    with pytest.raises(ComponentTreeException) as error:
        load_again(tmp_path)
    assert "not valid; run `dg utils refresh-defs-state`" in str(error.value.__cause__)


def test_a_typo_in_defs_state_is_an_error_with_its_line(load_location: LoadLocation) -> None:
    with pytest.raises(ComponentTreeException) as error:
        load_location(shop=SHOP + "  defs_state: {management_typ: LOCAL_FILESYSTEM}\n")
    assert "management_typ" in str(error.value.__cause__)
    assert "defs.yaml:" in str(error.value.__cause__)
