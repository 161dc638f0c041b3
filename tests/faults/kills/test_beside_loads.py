"""Maintenance that is killed, beside loads or alone, disturbs neither them nor a reader."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from servers.stack import rest_stack, sqlite_stack

from faults import maintenance
from faults.cases import Case
from faults.expiries import AGE
from faults.races import long_reads
from faults.races.test_long_reads import version_of_all

if TYPE_CHECKING:
    from servers.seaweedfs import SeaweedFS
    from servers.stack import Stack

Beside = Literal["alone", "beside loads"]
KINDS: list[maintenance.Kind] = ["compaction", "expiry and sweep", "rewrite of manifests"]


def stored_files(stack: Stack) -> set[str]:
    """The data files and manifests of the table."""
    location = stack.catalog().load_table((stack.namespace, "events")).location()
    return {path for path in stack.list_files(location) if path.endswith((".parquet", ".avro"))}


def age(stack: Stack) -> set[str]:
    """Let the table's local files look as if they had been written two days ago."""
    files = stored_files(stack)
    then = time.time() - AGE.total_seconds()
    for path in files if stack.kind == "sqlite" else ():
        os.utime(path.removeprefix("file://"), (then, then))
    return files


def check_kills_of(kind: maintenance.Kind, stack: Stack, beside: Beside) -> None:
    """Kill maintenance at each boundary, while another process merges, and readers read on."""
    case = Case(stack)
    work = stack.folder / "work"

    def load(number: int) -> None:
        disposition = "merge" if number else "append"
        arguments = (f"v{number}", disposition, case.namespace, work)
        case.start(long_reads.load_version, *arguments).result()

    for number in range(3):
        load(number)
    aged = age(stack)
    # The times of objects in a store cannot be set.
    seem_aged = {Path(path).name for path in aged} if stack.kind == "rest" else set()
    gate = stack.folder / "gate"
    reader = case.start(long_reads.read_all_the_time, gate, case.namespace)
    version, boundary, killed = 2, 0, 0
    while killed == boundary:
        version += 1
        if beside == "alone":
            load(version)
        arguments = (boundary, kind, case.namespace, seem_aged)
        victim = case.start(maintenance.maintain_and_die_at, *arguments)
        if beside == "beside loads":
            load(version)
        killed += victim.was_killed()
        boundary += 1
    assert killed >= 2, "before a commit, and after it"
    case.start(maintenance.maintain, kind, case.namespace, seem_aged).result()
    gate.touch()
    read = reader.result()
    versions = [version_of_all(number) for number in range(2, version + 1)]
    assert len(read) > 1
    # Each once, and none after a later one.
    assert read == [rows for rows in versions if rows in read]
    last = case.start(long_reads.read_once, case.namespace).result()
    assert last == version_of_all(version)
    deleted = {Path(path).suffix for path in aged - stored_files(stack)}
    assert deleted == ({".parquet", ".avro"} if kind == "expiry and sweep" else set())


@pytest.mark.parametrize(
    "beside", ["beside loads", pytest.param("alone", marks=pytest.mark.all_cases)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_readers_and_loads_never_notice_maintenance_that_is_killed(
    kind: maintenance.Kind, beside: Beside, tmp_path: Path
) -> None:
    """Each read has the rows of one version."""
    check_kills_of(kind, sqlite_stack(tmp_path), beside)


@pytest.mark.rest
@pytest.mark.parametrize(
    ("kind", "beside"),
    [
        ("rewrite of manifests", "beside loads"),
        *(
            pytest.param(kind, beside, marks=pytest.mark.all_cases)
            for kind in KINDS
            for beside in ("beside loads", "alone")
            if (kind, beside) != ("rewrite of manifests", "beside loads")
        ),
    ],
)
def test_nor_do_they_on_a_rest_catalog(
    kind: maintenance.Kind, beside: Beside, tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    check_kills_of(kind, rest_stack(seaweedfs, tmp_path), beside)
