"""A process that is killed anywhere in a load leaves no duplicate, no loss, no partial table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from servers.stack import rest_stack

from faults import loads
from faults.kills.kills import Directory, check_kills, choose_all, choose_visibly_different

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS

KINDS = [kind for kind in loads.LOADS if kind != "compacted"]


@pytest.mark.parametrize("directory", ["same directory", "none left"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_load_killed_at_any_boundary_is_loaded_exactly_once(
    kind: str, directory: Directory, tmp_path: Path
) -> None:
    """After a kill anywhere, the next run leaves the same tables as a run that was never killed."""
    choose = choose_all if directory == "same directory" else choose_visibly_different
    check_kills(kind, directory, tmp_path, choose=choose)


def test_a_process_killed_while_it_compacts_the_log_loses_nothing(tmp_path: Path) -> None:
    """The log is rewritten in one commit; the old and the new one have the same content."""

    def after_publishing(names: Sequence[str]) -> range:
        return range(len(names) - names[::-1].index("after a commit of events"), len(names))

    check_kills("compacted", "none left", tmp_path, choose=after_publishing)


@pytest.mark.rest
@pytest.mark.parametrize("directory", ["same directory", "none left"])
@pytest.mark.parametrize(
    "kind",
    [
        "merge",
        "merge on read",
        *(pytest.param(kind, marks=pytest.mark.all_cases, id=f"all of {kind}") for kind in KINDS),
    ],
)
def test_a_load_killed_on_a_rest_catalog_is_loaded_exactly_once(
    kind: str,
    directory: Directory,
    tmp_path: Path,
    seaweedfs: SeaweedFS,
    request: pytest.FixtureRequest,
) -> None:
    """The same on a real REST catalog with S3 storage, whose files a process reads once.

    By default, the two cases of the directory share the boundaries, one of each name.
    """
    is_every_case = request.node.get_closest_marker("all_cases") is not None
    share = 1 if directory == "none left" else 0

    def choose(names: Sequence[str]) -> Sequence[int]:
        if is_every_case:
            return choose_all(names)
        return [names.index(name) for name in dict.fromkeys(names)][share::2]

    check_kills(kind, directory, tmp_path, lambda folder: rest_stack(seaweedfs, folder), choose)


@pytest.mark.rest
@pytest.mark.parametrize("kind", ["append", "replace", "scd2", "window"])
def test_each_kind_of_load_survives_a_kill_on_a_rest_catalog(
    kind: str, tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    """In the upload, between the commit and the publication, and after the publication."""

    def choose(names: Sequence[str]) -> Sequence[int]:
        upload = next(n for n, name in enumerate(names) if name.startswith("inside the upload"))
        commit = names.index("after a commit of dlt_loads")
        publications = [n for n, name in enumerate(names) if name.startswith("after a commit of")]
        chosen = [upload, commit, next(n for n in publications if n > commit)]
        assert chosen == sorted(set(chosen))
        return chosen

    check_kills(kind, "none left", tmp_path, lambda folder: rest_stack(seaweedfs, folder), choose)
