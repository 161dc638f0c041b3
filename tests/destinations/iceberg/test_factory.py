"""The destination's factory and configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from floe_ingestion_defs.destinations import iceberg
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans

if TYPE_CHECKING:
    from pathlib import Path

    from destinations.iceberg.conftest import Lake

SECRET = "hunter2"


def secretive(tmp_path: Path) -> Any:
    return iceberg(
        catalog_type="sql",
        catalog_uri=f"sqlite:///{tmp_path}/other.db?password={SECRET}",
        warehouse=(tmp_path / "other").as_uri(),
        catalog_properties={"s3.secret-access-key": SECRET},
    )


def test_dlt_finds_the_destination_by_its_name(lake: Lake) -> None:
    """`destination="iceberg"` is this one wherever the distribution is installed."""
    pipeline = lake.pipeline(destination="iceberg")
    assert isinstance(pipeline.destination, iceberg)
    pipeline.run([{"id": 1}], table_name="t")
    assert lake.rows("t") == [{"id": 1}]


def test_the_capabilities_do_not_require_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """dlt asks for them a dozen times per load; a resolution each time took a seventh of a load."""
    resolved: list[Any] = []
    monkeypatch.setattr(iceberg, "configuration", lambda *given, **_: resolved.append(given))
    capabilities = iceberg(max_identifier_length=40).capabilities()
    assert capabilities.supported_loader_file_formats == ["parquet"]
    assert capabilities.max_identifier_length == 40
    assert resolved == []


@pytest.mark.parametrize(
    ("keyword", "said"), [("catalog_nam", "catalog_name"), ("bucket_url", "bucket_url")]
)
def test_an_unknown_keyword_is_an_error(keyword: str, said: str) -> None:
    """dlt's own factories drop it silently, and the load goes somewhere else."""
    with pytest.raises(TypeError, match=said):
        iceberg(**cast("dict[str, Any]", {keyword: "x"}))


def test_another_destination_s_name_is_an_error() -> None:
    """A configuration that is meant for another destination is not taken for this one's."""
    with pytest.raises(TypeError, match="filesystem"):
        iceberg(destination="filesystem")
    assert isinstance(iceberg(destination="iceberg"), iceberg)


def test_no_secret_is_shown(tmp_path: Path, lake: Lake) -> None:
    """Not by the factory, its configuration, the client or what a load says of itself."""
    factory = secretive(tmp_path)
    pipeline = lake.pipeline(destination=factory)
    with pipeline.destination_client() as client:
        shown = [repr(factory), str(factory), repr(client.config), str(client.config)]
        shown += [repr(client), client.config.fingerprint(), str(client.config.data_location())]
    assert SECRET not in " ".join(shown)


def test_the_catalog_comes_from_the_arguments(tmp_path: Path, lake: Lake) -> None:
    """Arguments take precedence over the environment and the embedded default."""
    uri = f"sqlite:///{tmp_path}/other.db"
    factory = iceberg(catalog_type="sql", catalog_uri=uri, warehouse=(tmp_path / "other").as_uri())
    info = lake.pipeline(destination=factory).run([{"id": 1}], table_name="t")
    assert (tmp_path / "other.db").exists()
    assert any((tmp_path / "other").rglob("*.parquet"))
    assert not lake.catalog.namespace_exists(lake.dataset)
    assert uri not in str(info)


def test_a_namespace_is_created_with_the_given_properties(lake: Lake) -> None:
    """One that exists is not changed."""
    for owner in ("sales", "others"):
        factory = iceberg(namespace_properties={"owner": owner})
        lake.pipeline(destination=factory).run([{"id": 1}], table_name="t")
        assert lake.catalog.load_namespace_properties(lake.dataset)["owner"] == "sales"


def test_the_catalog_comes_from_pyiceberg_s_environment(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with every pyiceberg tool."""
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__URI", f"sqlite:///{tmp_path}/env.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__WAREHOUSE", (tmp_path / "env").as_uri())
    lake.load([{"id": 1}], table_name="t")
    assert any((tmp_path / "env").rglob("*.parquet"))
    assert lake.rows("t") == [{"id": 1}]


def test_the_catalog_comes_from_dlt_s_configuration(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with every destination of dlt's."""
    monkeypatch.setenv("DESTINATION__ICEBERG__CATALOG_URI", f"sqlite:///{tmp_path}/dlt.db")
    monkeypatch.setenv("DESTINATION__ICEBERG__CATALOG_TYPE", "sql")
    monkeypatch.setenv("DESTINATION__ICEBERG__WAREHOUSE", (tmp_path / "dlt_lake").as_uri())
    lake.load([{"id": 1}], table_name="t")
    assert any((tmp_path / "dlt_lake").rglob("*.parquet"))


@pytest.mark.parametrize("name", ["with spaces", "größe", "a#b"])
def test_the_embedded_catalog_may_be_in_a_folder_of_any_name(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its files are where `FLOE_HOME` says, and a sweep knows them."""
    monkeypatch.setenv("FLOE_HOME", str(tmp_path / name))
    for n in range(2):
        lake.load(
            [{"id": n, "tags": ["a"]}],
            table_name="t",
            primary_key="id",
            write_disposition="merge",
        )
    assert lake.values("t", "id") == [0, 1]
    assert list((tmp_path / name / "warehouse").rglob("t/data/*.parquet"))
    assert remove_orphans(Dataset(lake.catalog, lake.dataset), timedelta(0)) == []
