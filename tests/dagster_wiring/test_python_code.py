"""The code of a source of type `python` describes its assets."""

import sys
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import pytest

from floe_ingestion_defs.dagster_wiring import create_ingestion_assets
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

CODE = '''
    """Not imported while a location loads."""
    import dlt

    raise RuntimeError("imported")


    @dlt.source
    def source():
        """What the shop sells."""

        @dlt.resource(name="line_items", write_disposition="append")
        def read_items():
            """One row for every item
            that was ordered.

            Yields:
                Rows.
            """
            yield []

        @dlt.resource
        def customers():
            """Who ordered."""
            yield []

        @dlt.transformer(data_from=customers)
        def addresses(customer):
            yield []

        def helper():
            """No resource."""

        return read_items, customers, addresses
'''


def descriptions(folder: Path, code: str, **source: object) -> dict[str, str | None]:
    """The descriptions of the assets of a source that is written in a package of its own."""
    package = f"shop_{uuid4().hex}"
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(dedent(code))
    names = ["line_items", "customers", "addresses", "helper"]
    configured = {
        "name": "shop",
        "description": "The shop.",
        "source_type": "python",
        "source_config": {"factory": f"{package}:source", "resource_names": names},
        "destination_table": "bronze.{resource}",
        **source,
    }
    (assets,) = create_ingestion_assets(DltIngestionPlugin({"sources": [configured]}))
    assert package not in sys.modules
    return {
        spec.key.to_user_string().removeprefix("ingestion__shop__"): spec.description
        for spec in assets.specs
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_resource_s_docstring_describes_its_asset(folder: Path) -> None:
    """Its first paragraph does, under the resource's name; the code is not imported for it."""
    assert descriptions(folder, CODE) == {
        "line_items": "One row for every item that was ordered.",
        "customers": "Who ordered.",
        "addresses": "The shop.",
        "helper": "The shop.",
    }


def test_a_configured_description_takes_precedence_over_the_docstring(folder: Path) -> None:
    """The author of a docstring wants it to be seen."""
    own = {"customers": {"description": "People."}}

    assert descriptions(folder, CODE, resources=own)["customers"] == "People."


@pytest.mark.parametrize("code", ["def (", "\0"])
def test_unreadable_code_is_reported_by_the_load(folder: Path, code: str) -> None:
    """The location shows its assets all the same."""
    assert set(descriptions(folder, code).values()) == {"The shop."}


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("absent_shop:source", "module absent_shop not found"),
        ("{package}.absent:source", "module {package}.absent not found"),
        ("{package}:sauce", "module {package} has no function 'sauce'"),
    ],
)
def test_a_typo_in_a_factory_is_an_error_of_the_location(
    folder: Path, factory: str, reason: str
) -> None:
    """It names the source and the setting, and nothing is imported."""
    (folder / "typos").mkdir()
    (folder / "typos" / "__init__.py").write_text(dedent(CODE))
    names = {"package": "typos"}
    with pytest.raises(PipelineConfigurationError) as caught:
        descriptions(folder, CODE, source_config=python_options(factory.format(**names)))
    assert "'shop'" in str(caught.value)
    assert f"source_config.factory: {reason.format(**names)}" in str(caught.value)
    assert "typos" not in sys.modules


@pytest.mark.parametrize(
    "code",
    ["from elsewhere import *", "from elsewhere import made as source", "source = make()"],
)
def test_a_factory_may_be_defined_in_any_way(folder: Path, code: str) -> None:
    assert set(descriptions(folder, code).values()) == {"The shop."}


def python_options(factory: str) -> dict[str, object]:
    return {"factory": factory, "resource_names": ["customers"]}
