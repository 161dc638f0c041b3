"""Every file that is not valid is reported, in one pass, with its name and line."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring.python_code import check_code
from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

LoadLocation = Callable[..., dg.Definitions]

CODE = """
    import dlt


    @dlt.source
    def source(tables=()):
        @dlt.resource
        def items():
            yield []

        @dlt.resource(name="line_items")
        def lines():
            yield []

        return items, lines


    @dlt.source
    def generated(tables=()):
        return [dlt.resource([], name=table) for table in tables]


    @dlt.source
    def renamed():
        @dlt.resource
        def items():
            yield []

        items = items.with_name("things")
        return items


    @dlt.resource(name="single")
    def one():
        yield []
"""
FILE = dedent(
    """\
    type: floe_ingestion_defs.components.IngestionComponent

    attributes:
      sources:
        - name: NAME
          source_type: python
          source_config:
            factory: shop_code:source
            resource_names: [items]
          destination_table: bronze.NAME_{resource}
          write_mode: merge
          primary_key: id
          orchestration:
            cron: 15 6 * * *
            checks:
              not_null: true
    """
)
# What is written instead of what, and what the error says.
TYPOS = {
    "module": ("shop_code:source", "shop_cod:source", "module shop_cod not found"),
    "function": ("shop_code:source", "shop_code:sauce", "has no function 'sauce'"),
    "resource": ("[items]", "[itms]", "did you mean 'items'?"),
    "no_resource": ("[items]", "[]", "resource_names"),
    "field": ("write_mode", "write_mod", "did you mean 'write_mode'"),
    "mode": ("merge", "mrege", "'mrege'"),
    "type": ("source_type: python", "source_type: pyhton", "'pyhton'"),
    "option": ("factory:", "factry:", "'factory'"),
    "table": ("bronze.NAME", "NAME", "has no namespace"),
    "placeholder": ("{resource}", "{resorce}", "resorce"),
    "cron": ("15 6 * * *", "daily", "orchestration.cron"),
    "orchestration": ("cron:", "corn:", "did you mean 'cron'"),
    "check": ("not_null", "not_nul", "not_nul"),
    "check_value": ("not_null: true", "not_null: {columns: 7}", "not_null"),
    "section": ("orchestration:", "orchestraton:", "did you mean 'orchestration'"),
    "attribute": ("sources:", "surces:", "surces"),
    "key": ("primary_key: id", "primary_key: 7", "primary_key"),
    "separator": ("shop_code:source", "shop_code.source", "factory"),
    "component": ("IngestionComponent", "IngestonComponent", "IngestonComponent"),
    "name": ("- name: NAME", "- name: My Shop", "'My Shop'"),
}


def test_every_broken_file_of_several_is_reported_with_its_name(
    load_location: LoadLocation, tmp_path: Path
) -> None:
    """`dg check defs` and `dg list defs` load the location, so a user corrects all in one pass."""
    assert len(TYPOS) == 20
    (tmp_path / "shop_code.py").write_text(dedent(CODE))
    files = {"good": FILE.replace("NAME", "good")}
    for name, (written, instead, _) in TYPOS.items():
        assert written in FILE
        files[name] = FILE.replace(written, instead, 1).replace("NAME", name)

    with pytest.raises(PipelineConfigurationError) as caught:
        load_location(**files)

    first, *lines = str(caught.value).split("\n")
    assert first == "20 files of defs/ are not valid:"
    for name, (_, _, said) in TYPOS.items():
        about = [line for line in lines if f"/defs/{name}" in line]
        assert about, f"{name} is not reported"
        assert said in "\n".join(about)
    assert "/defs/good" not in str(caught.value)


def test_a_single_broken_file_is_shown_in_the_tree_of_dagster(
    load_location: LoadLocation, tmp_path: Path
) -> None:
    """As without this package; the cause names file, line, setting and the nearest name."""
    (tmp_path / "shop_code.py").write_text(dedent(CODE))
    with pytest.raises(Exception, match="shop") as caught:
        load_location(shop=FILE.replace("NAME", "shop").replace("[items]", "[line_item]"))
    said = str(caught.value.__cause__)
    assert "/defs/shop/defs.yaml:9: source 'shop': source_config.resource_names" in said
    assert "available: items, line_items; did you mean 'line_items'?" in said


@pytest.mark.parametrize(
    ("factory", "name"),
    [("source", "line_items"), ("one", "single"), ("generated", "any"), ("renamed", "things")],
)
def test_a_resource_that_the_code_shows_or_may_generate_is_accepted(
    factory: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what the text of the factory rules out is an error; the rest is left to the load."""
    module = f"code_of_{factory}"
    (tmp_path / f"{module}.py").write_text(dedent(CODE))
    monkeypatch.syspath_prepend(tmp_path)
    options = {"factory": f"{module}:{factory}", "resource_names": [name]}
    source = IngestionSourceConfig(
        name="shop",
        source_type="python",
        source_config=options,
        destination_table="bronze.shop_{resource}",
    )
    check_code(source)
