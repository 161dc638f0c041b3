import sys
from pathlib import Path

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import (
    Deployment,
    build_ingestion_definitions,
    link_code_to_git,
)
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

ROOT = Path("/srv/acme")

pytestmark = pytest.mark.filterwarnings("ignore:Class `LocalFileCodeReference`")


@pytest.fixture
def definitions(shop: dict[str, object]) -> dg.Definitions:
    reference = dg.LocalFileCodeReference(
        file_path=str(ROOT / "ingestion/defs/shop/defs.yaml"), line_number=4
    )
    plugin = DltIngestionPlugin({"sources": [shop]})
    return build_ingestion_definitions(plugin, code_references={"shop": [reference]})


def references_of(definitions: dg.Definitions) -> list[str]:
    spec = next(
        spec
        for spec in definitions.resolve_all_asset_specs()
        if "dagster/code_references" in spec.metadata
    )
    references = spec.metadata["dagster/code_references"].code_references
    return [reference.source for reference in references]


def test_code_opens_in_an_editor_where_no_repository_is_known(definitions: dg.Definitions) -> None:
    """In local development the link opens the file itself."""
    linked = link_code_to_git(definitions, ROOT, Deployment(kind="local", name="local"))

    assert references_of(linked) == ["/srv/acme/ingestion/defs/shop/defs.yaml:4"]


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://github.com/acme/ingestion", "/tree/0f3c/ingestion/defs/shop/defs.yaml#L4"),
        ("https://gitlab.com/acme/ingestion", "/-/tree/0f3c/ingestion/defs/shop/defs.yaml#L4"),
    ],
)
def test_code_opens_in_the_repository_at_what_is_deployed(
    definitions: dg.Definitions, url: str, link: str
) -> None:
    """The link shows the file as it was when it was deployed, at the source's line."""
    deployment = Deployment(kind="production", name="prod", git_sha="0f3c", git_url=url)

    assert references_of(link_code_to_git(definitions, ROOT, deployment)) == [url + link]


def test_code_outside_the_repository_is_not_linked_into_it(definitions: dg.Definitions) -> None:
    """A link to a file that the repository does not have would lead nowhere."""
    deployment = Deployment(
        kind="production", name="prod", git_sha="0f3c", git_url="https://github.com/acme/other"
    )

    linked = link_code_to_git(definitions, Path("/srv/other"), deployment)

    assert references_of(linked) == ["/srv/acme/ingestion/defs/shop/defs.yaml:4"]


def test_a_python_source_refers_to_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is found without importing it."""
    module = "floe_ingestion_defs.scaffold.new_source"
    monkeypatch.delitem(sys.modules, module, raising=False)
    source = {
        "name": "own",
        "source_type": "python",
        "source_config": {"factory": f"{module}:main", "resource_names": ["things"]},
        "destination_table": "bronze.things",
    }

    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [source]}))
    (spec,) = definitions.resolve_assets_def("ingestion__own__things").specs
    found = spec.metadata.get("dagster/code_references")

    references = found.code_references if found is not None else []
    assert [Path(reference.file_path).name for reference in references] == ["new_source.py"]
    assert module not in sys.modules
