"""Small immutable files are written in one piece, and read from the store once at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyiceberg.io.fsspec import FsspecFileIO
from pyiceberg.io.pyarrow import PyArrowFileIO

from floe_ingestion_defs.destinations.impl.iceberg.catalog.file_memory import (
    FILE_MEMORY,
    SMALL_BYTES,
    FileMemory,
    is_immutable,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.s3_file_io import (
    RemembersFiles,
    S3FileIO,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.uploads import uploading_together

if TYPE_CHECKING:
    from pathlib import Path

UNIQUE = "00001-0a1b2c3d-1111-4222-8333-0123456789ab.metadata.json"


class RememberingPyArrow(RemembersFiles, PyArrowFileIO):
    """PyArrow's FileIO on a local disk, where the test can change what is stored."""


class RememberingFsspec(RemembersFiles, FsspecFileIO):
    """fsspec's, likewise."""


@pytest.fixture(params=[RememberingPyArrow, RememberingFsspec])
def io(request: pytest.FixtureRequest) -> RemembersFiles:
    FILE_MEMORY.clear()
    made: RemembersFiles = request.param({})
    return made


def write(io: RemembersFiles, path: Path, content: bytes) -> None:
    with io.new_output(str(path)).create() as stream:
        stream.write(content)


def read(io: RemembersFiles, path: Path) -> bytes:
    with io.new_input(str(path)).open() as stream:
        return bytes(stream.read())


@pytest.mark.parametrize("size", [0, 3, SMALL_BYTES, SMALL_BYTES + 1])
def test_a_file_is_stored_as_it_was_written(io: RemembersFiles, tmp_path: Path, size: int) -> None:
    path = tmp_path / UNIQUE
    content = bytes(index % 251 for index in range(size))
    output = io.new_output(str(path))
    with output.create() as stream:
        for start in range(0, size, 1_000_000):
            stream.write(content[start : start + 1_000_000])
        assert stream.tell() == size
    assert path.read_bytes() == content == read(io, path)
    assert len(output) == len(io.new_input(str(path))) == size


def test_a_written_file_is_not_read_from_the_store(io: RemembersFiles, tmp_path: Path) -> None:
    write(io, tmp_path / UNIQUE, b"content")
    (tmp_path / UNIQUE).unlink()
    assert read(io, tmp_path / UNIQUE) == b"content"
    assert not io.new_input(str(tmp_path / UNIQUE)).exists()


def test_a_file_is_read_from_the_store_once(io: RemembersFiles, tmp_path: Path) -> None:
    path = tmp_path / UNIQUE
    path.write_bytes(b"content")
    assert read(io, path) == b"content"
    path.unlink()
    assert read(io, path) == b"content"


def test_a_deleted_file_is_forgotten(io: RemembersFiles, tmp_path: Path) -> None:
    write(io, tmp_path / UNIQUE, b"content")
    io.delete(str(tmp_path / UNIQUE))
    with pytest.raises(FileNotFoundError):
        read(io, tmp_path / UNIQUE)


def test_a_file_without_a_uuid_is_read_each_time(io: RemembersFiles, tmp_path: Path) -> None:
    path = tmp_path / "version-hint.text"
    write(io, path, b"1")
    path.write_bytes(b"2")
    assert read(io, path) == b"2"


def test_an_interrupted_file_is_not_created(io: RemembersFiles, tmp_path: Path) -> None:
    path = tmp_path / UNIQUE

    def interrupted() -> None:
        with io.new_output(str(path)).create() as stream:
            stream.write(b"half")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        read(io, path)


def test_a_file_whose_upload_failed_is_not_remembered(io: RemembersFiles, tmp_path: Path) -> None:
    path = tmp_path / UNIQUE
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write(io, path, b"content")
    assert FILE_MEMORY.get(str(path)) is None


def test_files_that_are_uploaded_together_can_be_read_before_they_exist(
    io: RemembersFiles, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}-{UNIQUE}" for number in range(9)]
    with uploading_together(io) as together, uploading_together(together) as inner:
        assert inner is together
        for path in paths:
            with together.new_output(str(path)).create() as stream:
                stream.write(path.name.encode())
            assert len(together.new_input(str(path))) == len(path.name)
    assert [path.read_text() for path in paths] == [path.name for path in paths]


def test_a_failed_upload_fails_the_block_that_it_is_in(io: RemembersFiles, tmp_path: Path) -> None:
    (tmp_path / UNIQUE).mkdir()
    other = tmp_path / f"other-{UNIQUE}"

    def upload_both() -> None:
        with uploading_together(io) as together:
            for path in (tmp_path / UNIQUE, other):
                with together.new_output(str(path)).create() as stream:
                    stream.write(b"content")

    with pytest.raises(OSError, match="directory"):
        upload_both()
    assert FILE_MEMORY.get(str(tmp_path / UNIQUE)) is None
    assert read(io, other) == b"content"


def test_tables_share_a_client_of_the_store_unless_their_credentials_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def client_of(**properties: str) -> object:
        keys = {"s3.access-key-id": "one", "s3.secret-access-key": "two"}
        io = S3FileIO({"s3.region": "eu-central-1", **keys, **properties})
        return io.fs_by_scheme("s3", "lake")

    first = client_of()
    assert client_of(**{"dlt.published-seq": "2"}) is first
    assert client_of(**{"s3.session-token": "another"}) is not first
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    assert client_of() is not first


def test_the_memory_is_bounded_in_bytes_and_in_time() -> None:
    memory = FileMemory(most_bytes=10, seconds=3600)
    for name in "abc":
        memory.keep(name, b"12345")
    assert [memory.get(name) for name in "abc"] == [None, b"12345", b"12345"]
    expired = FileMemory(most_bytes=10, seconds=0)
    expired.keep("a", b"12345")
    assert expired.get("a") is None
    large = FileMemory()
    large.keep("a", b"0" * (SMALL_BYTES + 1))
    assert large.get("a") is None


def test_a_file_that_is_being_uploaded_is_not_dropped_for_others() -> None:
    memory = FileMemory(most_bytes=5)
    memory.hold("a", b"12345")
    memory.keep("b", b"12345")
    assert memory.get("a") == b"12345"
    memory.forget("a")
    assert memory.get("a") is None


@pytest.mark.parametrize(
    ("location", "immutable"),
    [
        (f"s3://lake/t/metadata/{UNIQUE}", True),
        ("s3://lake/t/metadata/snap-1-0-0a1b2c3d-1111-4222-8333-0123456789ab.avro", True),
        ("s3://lake/t/metadata/v3.metadata.json", False),
        ("s3://lake/0a1b2c3d-1111-4222-8333-0123456789ab/version-hint.text", False),
    ],
)
def test_only_a_name_with_a_uuid_is_immutable(location: str, immutable: bool) -> None:
    assert is_immutable(location) is immutable
