"""A catalog's settings reach pyiceberg whole, and its secrets reach no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from floe_ingestion_defs.destinations import catalog_properties
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.config.destination import environment_of
from floe_ingestion_defs.dlt_plugin.errors.redaction import redactor_for

if TYPE_CHECKING:
    from pathlib import Path

LOGIN = {"client_id": "floe", "client_secret": "${CATALOG_SECRET}", "token_url": "https://login"}


def test_login_settings_with_several_fields_are_passed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pyiceberg's `auth` is a mapping, and its placeholders are resolved like any."""
    monkeypatch.setenv("CATALOG_SECRET", "sw0rdfish")
    auth = {"type": "oauth2", "oauth2": LOGIN}
    config = DltIngestionPlugin().get_destination_config(
        {"type": "rest", "uri": "https://catalog", "auth": auth}
    )
    expected = {**auth, "oauth2": {**LOGIN, "client_secret": "sw0rdfish"}}
    assert config["catalog_properties"] == {"auth": expected}
    assert catalog_properties("floe", config["catalog_properties"])["auth"] == expected
    assert "sw0rdfish" not in repr(config)


@pytest.mark.parametrize(
    ("variable", "value", "secret"),
    [
        ("CREDENTIAL", "client:sw0rdfish", "sw0rdfish"),
        ("TOKEN", "sw0rdfish", "sw0rdfish"),
        ("S3__SECRET_ACCESS_KEY", "sw0rdfish", "sw0rdfish"),
        ("URI", "postgresql+psycopg2://dev:sw0rdfish@db/lake", "sw0rdfish"),
    ],
)
def test_secrets_of_the_catalog_s_environment_are_redacted(
    variable: str, value: str, secret: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only those of the configuration: most catalogs are configured by the environment."""
    monkeypatch.setenv(f"PYICEBERG_CATALOG__FLOE__{variable}", value)
    redactor = redactor_for(environment_of({}))
    assert secret not in redactor.clean(f"the server received {secret}")
    assert redactor.finds_secret(value)
