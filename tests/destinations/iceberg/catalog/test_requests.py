"""How many requests a load sends to an object store, counted between it and a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt
import pytest
from servers.counting import counting_proxy
from servers.seaweedfs import PLAIN_BUCKET, SeaweedFS
from servers.stack import Stack, rest_stack, sqlite_stack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("rest", marks=pytest.mark.rest)])
def test_a_small_file_is_uploaded_in_one_request(
    kind: str, seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counting_proxy(seaweedfs.s3_endpoint) as store:
        chosen = rest_stack(seaweedfs, tmp_path) if kind == "rest" else sqlite_stack(tmp_path)
        properties = {**chosen.properties, **seaweedfs.s3_properties, "s3.endpoint": store.uri}
        if kind == "sqlite":
            properties["warehouse"] = f"s3://{PLAIN_BUCKET}/{chosen.namespace}"
        stack = Stack(chosen.kind, properties, tmp_path, chosen.namespace)
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)
        pipeline = dlt.pipeline(
            "shop", str(tmp_path), destination="iceberg", dataset_name=stack.namespace
        )
        for number in range(2):
            store.reset()
            pipeline.run([{"id": number}], table_name="events")
            uploads = [r for r in store.requests if r.startswith("PUT ")]
            assert uploads
            assert len(uploads) == len(set(uploads))
            # Neither a multipart upload nor the listing by which pyiceberg looks for a file.
            assert not [r for r in uploads if "partNumber" in r]
            assert store.methods["POST"] == 0
            assert len(store.requests) <= (66, 43)[number]
            assert not [r for r in store.requests if "delimiter" in r]
        rows = stack.catalog().load_table(f"{stack.namespace}.events").scan().to_arrow()
        assert sorted(rows["id"].to_pylist()) == [0, 1]
