"""The configuration in `docs/operate/scaling.md` is one that Dagster, and its chart, take."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from deployment.helm_values import Concurrency, RunLauncher

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(
    r"^```yaml\n(.*?)^```",
    (ROOT / "docs" / "operate" / "scaling.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


def blocks_headed(heading: str) -> list[dict[str, Any]]:
    found = [yaml.safe_load(text) for text in BLOCKS if text.startswith(heading)]
    assert found
    return found


@pytest.mark.parametrize("config", blocks_headed("# dagster.yaml"))
def test_each_dagster_yaml_is_valid(config: dict[str, Any]) -> None:
    """By Dagster's own schema, which knows every key."""
    result = validate_config(dagster_instance_config_schema(), config)
    assert result.success, result.errors


def test_the_schema_finds_a_misspelled_key() -> None:
    """The test above would be meaningless if it accepted everything."""
    wrong = {"concurrency": {"pools": {"default_limits": 1}}}
    assert not validate_config(dagster_instance_config_schema(), wrong).success


def test_the_values_are_the_chart_s_and_those_that_are_deployed() -> None:
    """Keys that the chart reads; and where the deployment has them, under the same names."""
    (values,) = blocks_headed("# values for Dagster's chart")
    assert values.keys() == {"runLauncher", "concurrency"}
    RunLauncher.model_validate(values["runLauncher"])
    Concurrency.model_validate(values["concurrency"])
    deployed = yaml.safe_load((ROOT / "deploy" / "helm-values.yaml").read_text())
    assert deployed["concurrency"] == values["concurrency"]


def test_every_block_of_yaml_is_checked_by_a_test() -> None:
    """The others are whole files of sources, which are loaded with those of the other pages."""
    heads = ("# dagster.yaml", "# values for Dagster's chart", "type: ")
    assert all(text.startswith(heads) for text in BLOCKS)
