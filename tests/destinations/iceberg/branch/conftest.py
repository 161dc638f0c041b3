"""Production and a branch in catalogs of the test's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from destinations.iceberg.branch.world import World, configured
from servers.fixtures import make_stack

from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans as maintenance

if TYPE_CHECKING:
    from pathlib import Path

    from destinations.iceberg.conftest import Lake
    from servers.stack import Stack


@pytest.fixture
def stack(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    kind: Any = getattr(request, "param", "sqlite")
    return configured(make_stack(kind, request, tmp_path), monkeypatch)


@pytest.fixture
def world(stack: Stack, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(stack, replace(lake, dataset=stack.namespace), monkeypatch)


@pytest.fixture
def sweep_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "DELETE_AFTER_SECONDS", 0)
