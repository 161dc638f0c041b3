"""Dagster+: its file, its image and its workflow, each checked against what will read it."""

import inspect
import shlex
import subprocess
import tomllib
from typing import Any

import pytest
import typer
import yaml
from dagster_cloud_cli.commands import job as launch_module
from dagster_cloud_cli.config.models import load_dagster_cloud_yaml
from dagster_cloud_cli.entrypoint import app
from pydantic import ValidationError

from deployment.compose import DEPLOY
from deployment.dockerfile import read_steps
from floe_ingestion_defs import definitions as location_module

ROOT = DEPLOY.parent
CLOUD = (ROOT / "dagster_cloud.yaml").read_text()
# YAML 1.1 takes the key `on` for a truth value.
WORKFLOW: dict[Any, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
)
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"


def scripts(job: str) -> list[str]:
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


def commands() -> list[list[str]]:
    """Every command of Dagster+'s that the workflow gives."""
    found = []
    for job in WORKFLOW["jobs"]:
        for line in "\n".join(scripts(job)).splitlines():
            _, called, rest = line.partition("dagster-cloud ")
            if called and not line.startswith("pip "):
                words = shlex.split(rest.rstrip(")"))
                ends = [words.index(end) for end in ("|", ">>") if end in words]
                found.append(words[: min(ends, default=len(words))])
    return found


def check_command(words: list[str]) -> None:
    """Parse a command as the program itself does, which raises what it would print."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    command.make_context(command.name, list(words))


def test_dagster_cloud_yaml_is_valid_and_names_the_location() -> None:
    """By the model of the pinned dagster-cloud-cli; the name is the same in all three files."""
    (location,) = load_dagster_cloud_yaml(CLOUD).locations
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    (local,) = workspace["load_from"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert location.code_source is not None
    assert location.code_source.module_name == location_module.__name__
    assert location.location_name == local["python_module"]["location_name"]
    assert location.location_name == project["tool"]["dg"]["project"]["code_location_name"]


def test_the_model_finds_a_misspelled_key() -> None:
    """The test above would be meaningless if it accepted everything."""
    with pytest.raises(ValidationError, match="modul_name"):
        load_dagster_cloud_yaml(CLOUD.replace("module_name", "modul_name"))


def test_the_image_has_the_steps_of_the_one_that_is_built_in_a_test() -> None:
    """Its agents' package in the place of Kubernetes', and no server, which they start."""
    steps = read_steps(DEPLOY / "Dockerfile.cloud")
    ours = [step for step in steps if step[0] in ("FROM", "COPY", "RUN")]
    instance = ("useradd", "deploy/", "mkdir")
    theirs = [
        (name, rest.replace("[kubernetes,postgres]", "[cloud,postgres]"))
        for name, rest in read_steps(DEPLOY / "Dockerfile")
        if name in ("FROM", "COPY", "RUN") and not any(word in rest for word in instance)
    ]
    assert ours == theirs
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cloud", "postgres"} <= project["optional-dependencies"].keys()
    admitted = (DEPLOY / "Dockerfile.cloud.dockerignore").read_text().split()
    copied = [word for name, rest in ours if name == "COPY" for word in rest.split()[:-1]]
    assert {f"!{path.split('/')[0]}" for path in copied} <= set(admitted)


def test_the_workflow_deploys_main_and_every_state_of_a_pull_request() -> None:
    """And drops the tables when it closes, merged or not; forks have no secrets."""
    on = WORKFLOW[True]
    assert on["push"] == {"branches": ["main"]}
    assert set(on["pull_request"]["types"]) == {"opened", "synchronize", "reopened", "closed"}
    deploy, drop = WORKFLOW["jobs"]["deploy"], WORKFLOW["jobs"]["drop_branch_tables"]
    assert "github.event.action != 'closed'" in deploy["if"]
    assert "github.event.action == 'closed'" in drop["if"]
    assert SAME_REPOSITORY in deploy["if"]
    assert SAME_REPOSITORY in drop["if"]
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_every_command_of_the_workflow_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the program of the pinned version, in the workflow's own environment."""
    for name, value in WORKFLOW["env"].items():
        monkeypatch.setenv(name, value)
    words = commands()
    for command in words:
        check_command(command)
    named = [" ".join(command[:2]) for command in words]
    assert named == [
        *("ci init", "ci build", "ci deploy", "ci status"),
        *("ci branch-deployment", "job launch", "ci branch-deployment"),
    ]
    with pytest.raises(Exception, match="No such option"):
        check_command(["ci", "deploy", "--no-such-option"])


def test_the_workflow_launches_the_job_of_the_location() -> None:
    """Under the names that Dagster+ knows them by; and a run that fails, fails the workflow."""
    (launch,) = [command for command in commands() if command[:2] == ["job", "launch"]]
    options = dict(zip(launch[2::2], launch[3::2], strict=False))
    assert options["--location"] == load_dagster_cloud_yaml(CLOUD).locations[0].location_name
    assert location_module.defs().resolve_job_def(options["--job"])
    assert "--wait" in launch
    (script,) = [text for text in scripts("drop_branch_tables") if "job launch" in text]
    assert "grep -q 'finished successfully'" in script
    assert "finished successfully" in inspect.getsource(launch_module)


def test_every_script_of_the_workflow_is_bash() -> None:
    """A step with an unbalanced quote would fail only in a deployment."""
    for job in WORKFLOW["jobs"]:
        for script in scripts(job):
            subprocess.run(["bash", "-n", "-c", script], check=True)
