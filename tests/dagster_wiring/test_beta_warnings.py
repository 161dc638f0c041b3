"""Beta features of Dagster that are used deliberately cause no warning; all others still do."""

import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import load_location

EVERYTHING = dedent(
    """\
    type: floe_ingestion_defs.components.IngestionComponent

    attributes:
      sources:
        - name: shop
          source_type: sql_database
          source_config: {table_names: [orders]}
          credentials: ${SHOP_DATABASE}
          destination_table: bronze.shop_{resource}
          cursor_field: updated_at
          orchestration:
            cron: 15 6 * * *
            partitions: {kind: daily, start: 2026-01-01}
            checks:
              freshness: {fail_after: 50h}
              not_null: {columns: id}
        - name: own
          source_type: python
          source_config: {factory: "warned.own:own", resource_names: [a]}
          destination_table: bronze.own
          orchestration:
            automation_condition: eager
      observed_tables:
        - table: silver.prices
    """
)

OWN = dedent(
    """\
    import dlt


    @dlt.resource
    def a():
        yield {"id": 1}


    @dlt.source
    def own():
        return a
    """
)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dg.Definitions]:
    """Loads a project that uses all that the component offers, deployed from a repository."""
    monkeypatch.setenv("DAGSTER_CLOUD_DEPLOYMENT_NAME", "prod")
    monkeypatch.setenv("DAGSTER_CLOUD_GIT_URL", "https://github.com/acme/ingestion")
    monkeypatch.setenv("DAGSTER_CLOUD_GIT_SHA", "0f3c")
    package = tmp_path / "warned"
    (package / "defs" / "all").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "warned"\n'
    )
    for folder in (package, package / "defs"):
        (folder / "__init__.py").touch()
    (package / "own.py").write_text(OWN)
    (package / "defs" / "all" / "defs.yaml").write_text(EVERYTHING)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda: load_location(package)


def test_a_location_that_uses_everything_warns_of_nothing_in_beta(
    load: Callable[[], dg.Definitions],
) -> None:
    """A warning at every start would hide new ones."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        repository = load().get_repository_def()
        repository.load_all_definitions()
        assert len(repository.asset_graph.get_all_asset_keys()) == 5
        with pytest.warns(dg.BetaWarning, match="include_sources"):
            dg.AssetSelection.all(include_sources=True)

    ours = [each for each in warned if each.category in (dg.BetaWarning, dg.PreviewWarning)]
    assert [str(each.message) for each in ours] == []
