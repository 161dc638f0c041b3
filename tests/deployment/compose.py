"""`deploy/docker-compose.yaml` as Docker Compose reads it: anchors merged, variables filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:\?|:-)(?P<default>[^}]*))?\}")


class VariableMissing(Exception):
    """The file requires a variable that is not set; Docker Compose rejects it, too."""


def read_services(variables: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The services with the variables in place.

    Raises:
        VariableMissing: One that is required has no value.
    """

    def fill(match: re.Match[str]) -> str:
        value = variables.get(match["name"], "")
        if not value and match["kind"] == ":?":
            raise VariableMissing(match["name"])
        return value or (match["default"] if match["kind"] == ":-" else "")

    def fill_all(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: fill_all(value) for name, value in node.items()}
        if isinstance(node, list):
            return [fill_all(value) for value in node]
        return _VARIABLE.sub(fill, node) if isinstance(node, str) else node

    file = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())
    services: dict[str, dict[str, Any]] = fill_all(file["services"])
    return services


def required_variables() -> set[str]:
    """The variables without which the file is rejected."""
    text = (DEPLOY / "docker-compose.yaml").read_text()
    return {match["name"] for match in _VARIABLE.finditer(text) if match["kind"] == ":?"}
