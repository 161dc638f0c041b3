"""Maintenance that is killed beside loads disturbs neither them nor a reader."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from servers.stack import rest_stack, sqlite_stack

from faults import maintenance
from faults.cases import Case
from faults.races import long_reads
from faults.races.test_long_reads import version_of_all

if TYPE_CHECKING:
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS
    from servers.stack import Stack

DAYS = 2 * 24 * 3600.0
KINDS: list[maintenance.Kind] = ["compaction", "expiry and sweep", "rewrite of manifests"]


def age(folder: Path) -> list[Path]:
    """Let a table's local files look as if they had been written two days ago."""
    then = time.time() - DAYS
    paths = [*(folder / "floe").rglob("events/**/*.parquet")]
    paths += (folder / "floe").rglob("events/**/*.avro")
    for path in paths:
        os.utime(path, (then, then))
    return paths


def check_kills_beside_loads(kind: maintenance.Kind, stack: Stack) -> None:
    """Kill maintenance at each boundary while another process merges, and readers read on."""
    case = Case(stack)
    work = stack.folder / "work"

    def load(number: int) -> None:
        disposition = "merge" if number else "append"
        arguments = (f"v{number}", disposition, case.namespace, work)
        case.start(long_reads.load_version, *arguments).result()

    for number in range(3):
        load(number)
    aged = age(stack.folder)
    gate = stack.folder / "gate"
    reader = case.start(long_reads.read_all_the_time, gate, case.namespace)
    version, boundary, killed = 2, 0, 0
    while killed == boundary:
        victim = case.start(maintenance.maintain_and_die_at, boundary, kind, case.namespace)
        version += 1
        load(version)
        killed += victim.was_killed()
        boundary += 1
    assert killed >= 2, "before a commit, and after it"
    case.start(maintenance.maintain, kind, case.namespace).result()
    gate.touch()
    read = reader.result()
    versions = [version_of_all(number) for number in range(2, version + 1)]
    assert len(read) > 1
    assert all(rows in versions for rows in read)
    last = case.start(long_reads.read_once, case.namespace).result()
    assert last == version_of_all(version)
    deleted = {path.suffix for path in aged if not path.exists()}
    assert deleted == ({".parquet", ".avro"} if kind == "expiry and sweep" else set())


@pytest.mark.parametrize("kind", KINDS)
def test_readers_and_loads_never_notice_maintenance_that_is_killed(
    kind: maintenance.Kind, tmp_path: Path
) -> None:
    """Each read has the rows of one version."""
    check_kills_beside_loads(kind, sqlite_stack(tmp_path))


@pytest.mark.rest
def test_nor_do_they_on_a_rest_catalog(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    check_kills_beside_loads("rewrite of manifests", rest_stack(seaweedfs, tmp_path))
