"""Wrong credentials of catalog and storage: reported clearly, once, and without their values."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from servers.postgres import GUEST, USER, Postgres

from floe_ingestion_defs.dlt_plugin import (
    DestinationWriteError,
    DltIngestionPlugin,
    ErrorCategory,
)

SECRET = "sw0rdfish-and-chips"
FSSPEC = "pyiceberg.io.fsspec.FsspecFileIO"
# What is wrong by the stack: properties, and what the error must say.
WRONG: dict[str, tuple[str, dict[str, str], str]] = {
    "login": ("rest", {"credential": f"admin:{SECRET}"}, "invalid_client.*/v1/oauth/tokens"),
    "token": ("rest", {"token": SECRET, "credential": ""}, "401 Client Error"),
    "S3 key by pyarrow": (
        "postgres_s3",
        {"s3.secret-access-key": SECRET},
        "AWS Error [A-Z_]+ during",
    ),
    "S3 key by fsspec": (
        "postgres_s3",
        {"s3.secret-access-key": SECRET, "py-io-impl": FSSPEC},
        "SignatureDoesNotMatch.*PutObject",
    ),
    "S3 key on REST": ("rest", {"s3.secret-access-key": SECRET}, "AWS Error [A-Z_]+ during"),
    "password": ("postgres", {"uri": ""}, f"authentication failed for user .{GUEST}"),
}


def variable(name: str) -> str:
    return "PYICEBERG_CATALOG__FLOE__" + name.replace(".", "__").replace("-", "_").upper()


@pytest.mark.parametrize(
    ("stack", "wrong", "said"),
    [
        pytest.param(kind, wrong, said, id=name, marks=[pytest.mark.rest] * (kind == "rest"))
        for name, (kind, wrong, said) in WRONG.items()
    ],
    indirect=["stack"],
)
def test_wrong_credentials_are_permanent_and_not_shown(
    shop: Any,
    wrong: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The error names the system, comes after one attempt, and does not show the secret."""
    if "uri" in wrong:
        server: Postgres = request.getfixturevalue("postgres")
        if not server.execute(f"select 1 from pg_roles where rolname = '{GUEST}'"):
            server.execute(f"create role {GUEST} login password 'another'")
        address = shop.stack.properties["uri"]
        wrong = {"uri": address.replace(f"{USER}@", f"{GUEST}:{SECRET}@")}
    for name, value in wrong.items():
        if value:
            monkeypatch.setenv(variable(name), value)
        else:
            monkeypatch.delenv(variable(name))
    shop.hold("id integer", (1,))
    plugin = DltIngestionPlugin({"sources": [shop.config], "retry_config": {"max_retries": 3}})
    plugin.startup()
    with pytest.raises(DestinationWriteError, match=f"(?s){said}") as failed:
        plugin.load(plugin.create_pipeline(plugin.source("shop")))
    assert failed.value.category is ErrorCategory.PERMANENT
    health = plugin.health_check(timeout=10)
    output = "".join(capfd.readouterr())
    assert output.count("load failed") == 1
    assert "load failed, retrying" not in output
    for text in (output, "".join(traceback.format_exception(failed.value)), health.message):
        assert SECRET not in text
