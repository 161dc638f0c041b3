"""`deploy/helm-values.yaml`, as far as it can be verified without a cluster."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import get_user_defined_k8s_config
from pydantic import ValidationError

from deployment.helm_values import HelmValues
from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "helm-values.yaml").read_text()
SOURCE = {
    "name": "shop",
    "source_type": "filesystem",
    "source_config": {"bucket_url": "landing", "file_glob": "*.csv", "format": "csv"},
    "destination_table": "bronze.shop",
}


@pytest.fixture
def values() -> dict[str, Any]:
    """The values, as a person may edit them."""
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


def test_every_key_exists_in_the_chart(values: dict[str, Any]) -> None:
    """Values of the right types, under names that the chart reads."""
    read = HelmValues.model_validate(values)
    assert read.runLauncher.type == "K8sRunLauncher"
    assert read.concurrency.pools.granularity == "run"


def test_a_misspelled_key_is_found(values: dict[str, Any]) -> None:
    """The model would be useless if it accepted everything."""
    values["dagster-user-deployments"]["deployments"][0]["envSecret"] = [{"name": "x"}]
    with pytest.raises(ValidationError, match="envSecret"):
        HelmValues.model_validate(values)


def test_dagster_accepts_the_instance_config(values: dict[str, Any]) -> None:
    """What the chart only passes on is checked against Dagster's own schema."""
    given = values["additionalInstanceConfig"]
    assert validate_config(dagster_instance_config_schema(), given).success
    assert given["run_retries"]["retry_on_asset_or_op_failure"] is False
    # The chart must not write the same blocks a second time.
    assert values["dagsterDaemon"]["runMonitoring"]["enabled"] is False
    assert values["dagsterDaemon"]["runRetries"]["enabled"] is False


def test_kubernetes_accepts_the_pods_of_runs(values: dict[str, Any]) -> None:
    """The fields of pod and job are Kubernetes' own, in its own types."""
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    config = launcher["runK8sConfig"]
    context = K8sContainerContext.create_from_config(
        {
            "k8s": {
                "resources": launcher["resources"],
                "run_k8s_config": {
                    "pod_spec_config": config["podSpecConfig"],
                    "job_spec_config": config["jobSpecConfig"],
                },
            }
        }
    )
    assert context.run_k8s_config.job_spec_config["backoff_limit"] == 0
    assert context.run_k8s_config.pod_spec_config["termination_grace_period_seconds"] == 60


def test_a_source_s_run_tags_set_the_resources_of_its_pod() -> None:
    """The K8s run launcher reads the tags of the run, which begin with those of its job."""
    resources = {"requests": {"cpu": "2", "memory": "4Gi"}}
    tags = {"dagster-k8s/config": {"container_config": {"resources": resources}}}
    source = {**SOURCE, "orchestration": {"run_tags": tags}}
    location = build_ingestion_definitions(DltIngestionPlugin({"sources": [source]}))
    job = location.resolve_job_def("ingestion__shop")
    assert get_user_defined_k8s_config(job.run_tags).container_config["resources"] == resources


def test_the_values_contain_no_secret(values: dict[str, Any]) -> None:
    """Secrets come from Kubernetes, by the names that the file's head explains."""
    named = {
        secret["name"]
        for deployment in values["dagster-user-deployments"]["deployments"]
        for secret in deployment["envSecrets"]
    } | {values["global"]["postgresqlSecretName"]}
    head = TEXT.split("global:")[0]
    assert all(name in head for name in named)
    settings = "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))
    assert not re.search(r"(?i)(password|credential|access_key|token)\w*\s*:(?! false)", settings)


def test_the_chart_is_the_one_of_the_dagster_that_is_pinned() -> None:
    """Chart and dagster are released in step."""
    pinned = re.search(r"^dagster==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert f"--version {pinned[1]} " in TEXT
