import pytest

from floe_ingestion_defs.dagster_wiring import read_deployment

BRANCH = {
    "DAGSTER_CLOUD_DEPLOYMENT_NAME": "a1b2c3",
    "DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT": "1",
    "DAGSTER_CLOUD_PULL_REQUEST_ID": "123",
    "DAGSTER_CLOUD_GIT_BRANCH": "add-weather",
    "DAGSTER_CLOUD_GIT_SHA": "0f3c",
    "DAGSTER_CLOUD_GIT_REPO": "acme/ingestion",
}


def test_a_process_that_dagster_cloud_says_nothing_to_is_local() -> None:
    """Self-hosting and laptops are one: no variable of Dagster+ is set there."""
    deployment = read_deployment({})

    assert (deployment.kind, deployment.name) == ("local", "local")
    assert not deployment.is_branch


def test_a_named_deployment_is_production() -> None:
    """Dagster+ names every deployment and marks the branches, so what is unmarked is production."""
    deployment = read_deployment({"DAGSTER_CLOUD_DEPLOYMENT_NAME": "prod"})

    assert (deployment.kind, deployment.name) == ("production", "prod")


def test_a_branch_deployment_says_pull_request_branch_and_repository() -> None:
    """Everything by which a branch's tables can be told apart is there."""
    deployment = read_deployment(BRANCH)

    assert deployment.is_branch
    assert deployment.pull_request_id == "123"
    assert deployment.git_branch == "add-weather"
    assert deployment.git_repository == "acme/ingestion"


def test_code_is_linked_at_the_commit_where_that_is_known() -> None:
    """A branch moves on; a commit shows the code that really runs."""
    assert read_deployment(BRANCH).git_revision == "0f3c"
    assert read_deployment({**BRANCH, "DAGSTER_CLOUD_GIT_SHA": ""}).git_revision == "add-weather"


def test_the_process_s_own_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else reads these variables, so there is nothing to hand on."""
    for name, value in BRANCH.items():
        monkeypatch.setenv(name, value)

    assert read_deployment().is_branch
