"""`deploy/docker-compose.yaml`, as far as it can be verified without a container engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployment.compose import DEPLOY, VariableMissing, read_services, required_variables

GIVEN = {name: f"given-{name.lower()}" for name in required_variables()}


def test_the_published_schema_accepts_the_file() -> None:
    """No key is misspelled and none has the wrong type."""
    schema = ["--builtin-schema", "vendor.compose-spec"]
    command = [sys.executable, "-m", "check_jsonschema", *schema]
    done = subprocess.run(
        [*command, str(DEPLOY / "docker-compose.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_schema_finds_an_invalid_value(tmp_path: Path) -> None:
    """The test above would be meaningless if the schema accepted everything."""
    text = (DEPLOY / "docker-compose.yaml").read_text().replace("healthcheck:", "health_check:")
    (tmp_path / "docker-compose.yaml").write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, "docker-compose.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "health_check" in done.stdout


@pytest.mark.parametrize("name", sorted(required_variables()))
def test_without_a_secret_nothing_starts(name: str) -> None:
    """There is no default password that an operator could forget to change."""
    with pytest.raises(VariableMissing, match=name):
        read_services({**GIVEN, name: ""})


def test_the_example_environment_names_every_variable() -> None:
    """And sets none of them."""
    example = (DEPLOY / ".env.example").read_text()
    named = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    wanted = set(re.findall(r"\$\{(\w+)", (DEPLOY / "docker-compose.yaml").read_text()))
    assert named.keys() == wanted
    assert not any(named.values())


def test_services_listen_on_loopback_only() -> None:
    """Dagster's webserver authenticates no user."""
    published = [port for each in read_services(GIVEN).values() for port in each.get("ports", ())]
    assert published == ["127.0.0.1:3000:3000"]


def test_every_service_waits_for_what_it_needs() -> None:
    """Each waits for services that exist, and for their health only where they say what it is."""
    services = read_services(GIVEN)
    waits = 0
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            waits += 1
            if condition["condition"] == "service_healthy":
                checked = "healthcheck" in services[name]
                assert checked or services[name]["image"].startswith("floe-ingestion:"), name
    assert waits >= 8


def test_only_the_code_server_holds_the_catalog_s_credential() -> None:
    """Webserver and daemon load nothing, so they need not be able to."""
    holders = {
        name
        for name, service in read_services(GIVEN).items()
        if any("CATALOG__FLOE" in variable for variable in service.get("environment", ()))
    }
    assert holders == {"code"}


def test_every_image_has_a_version() -> None:
    """The same versions are started again later."""
    images = {service["image"] for service in read_services(GIVEN).values()}
    assert all(re.search(r":\S*\d", image) for image in images)
