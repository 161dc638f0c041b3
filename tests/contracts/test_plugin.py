import pytest

from floe_ingestion_defs.contracts import (
    IngestionConfig,
    IngestionPlugin,
    IngestionResult,
    PluginMetadata,
)


def test_a_source_type_is_all_that_a_configuration_needs() -> None:
    """Everything else has the default that the contract gives it."""
    assert IngestionConfig("rest_api") == IngestionConfig(
        source_type="rest_api",
        source_config={},
        destination_table="",
        write_mode="append",
        schema_contract="evolve",
    )


def test_success_is_all_that_a_result_needs() -> None:
    """Everything else has the default that the contract gives it."""
    assert IngestionResult(True) == IngestionResult(
        success=True, rows_loaded=0, bytes_written=0, duration_seconds=0.0, errors=[]
    )


def test_defaults_are_not_shared() -> None:
    """A change of one result or configuration does not affect the next one."""
    IngestionConfig("rest_api").source_config["key"] = 1
    IngestionResult(False).errors.append("PERMANENT")
    assert IngestionConfig("rest_api").source_config == {}
    assert IngestionResult(False).errors == []


def test_repr_of_a_configuration_shows_no_source_config() -> None:
    """The settings of a source may hold credentials, and a `repr` ends in logs."""
    config = IngestionConfig("sql_database", {"credentials": "postgresql://u:hunter2@db/shop"})
    assert "hunter2" not in repr(config)
    assert "sql_database" in repr(config)


@pytest.mark.parametrize(
    "missing", ["is_external", "create_pipeline", "run", "get_destination_config"]
)
def test_an_ingestion_plugin_without_one_of_its_members_cannot_be_made(missing: str) -> None:
    """All four members are required, beside the metadata of every plugin."""
    members = {
        "name": "partial",
        "version": "0.1.0",
        "floe_api_version": "1.0",
        "is_external": False,
        "create_pipeline": lambda self, config: config,
        "run": lambda self, pipeline, **kwargs: IngestionResult(True),
        "get_destination_config": lambda self, catalog_config: catalog_config,
    }
    assert isinstance(type("Whole", (IngestionPlugin,), members)(), PluginMetadata)
    del members[missing]
    with pytest.raises(TypeError, match=missing):
        type("Partial", (IngestionPlugin,), members)()
