import json
from collections.abc import Callable
from textwrap import dedent

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException
from pydantic import BaseModel

from floe_ingestion_defs.components import IngestionComponent

LoadLocation = Callable[..., dg.Definitions]

SHOP = dedent(
    """\
    type: floe_ingestion_defs.components.IngestionComponent

    attributes:
      sources:
        - name: shop
          source_type: sql_database
          source_config:
            table_names: [orders, customers]
          credentials: ${SHOP_DATABASE}
          destination_table: bronze.shop_{resource}
          write_mode: merge
          primary_key: id
          orchestration:
            cron: 15 6 * * *
    """
)

IN_A_NAMESPACE_OF_THE_ENVIRONMENT = SHOP.replace(
    "bronze.shop_{resource}", "'{{ env.LAKE_NAMESPACE }}.shop_{resource}'"
)


def keys_of(definitions: dg.Definitions) -> set[str]:
    """Return the keys of the assets that the location loads."""
    graph = definitions.resolve_asset_graph()
    return {key.to_user_string() for key in graph.materializable_asset_keys}


def tables_of(definitions: dg.Definitions) -> set[str]:
    """Return the names of the tables that the location loads."""
    specs = definitions.resolve_all_asset_specs()
    return {
        spec.metadata["dagster/table_name"]
        for spec in specs
        if "dagster/table_name" in spec.metadata
    }


def test_a_yaml_file_becomes_assets_a_job_a_schedule_and_the_resource(
    load_location: LoadLocation,
) -> None:
    """One file is all that a source needs."""
    definitions = load_location(shop=SHOP)
    repository = definitions.get_repository_def()

    assert keys_of(definitions) == {"ingestion__shop__orders", "ingestion__shop__customers"}
    assert {"ingestion", "ingestion__shop"} <= {job.name for job in repository.get_all_jobs()}
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "ingestion__shop_schedule",
        "ingestion_freshness_schedule",
    }
    assert set(repository.get_top_level_resources()) == {"dlt"}


def test_a_location_without_sources_loads(load_location: LoadLocation) -> None:
    """As in a copy from which the example was removed."""
    assert keys_of(load_location()) == set()


def test_sources_of_several_files_are_one_location(load_location: LoadLocation) -> None:
    """Each file defines the resource `dlt`; the location has a single one."""
    crm = SHOP.replace("shop", "crm").replace("orders, customers", "people")

    assert keys_of(load_location(shop=SHOP, crm=crm)) == {
        "ingestion__shop__orders",
        "ingestion__shop__customers",
        "ingestion__crm__people",
    }


def test_an_asset_refers_to_the_line_of_its_source(load_location: LoadLocation) -> None:
    """The code link opens the line that a user would edit."""
    definitions = load_location(shop=SHOP)
    ingested = {"ingestion__shop__orders", "ingestion__shop__customers"}
    specs = definitions.resolve_all_asset_specs()
    spec = next(spec for spec in specs if spec.key.to_user_string() in ingested)
    (reference,) = spec.metadata["dagster/code_references"].code_references

    assert reference.file_path.endswith("/defs/shop/defs.yaml")
    assert reference.line_number == 1 + SHOP.split("\n").index("    - name: shop")


@pytest.mark.parametrize(
    ("written", "instead", "line", "said"),
    [
        ("sql_database", "sql_databse", 6, ["source_type", "'sql_databse'", "sql_database"]),
        ("write_mode: merge", "write_mod: merge", 11, ["write_mod", "did you mean 'write_mode'"]),
        ("write_mode: merge", "write_mode: mrege", 11, ["write_mode", "'mrege'", "merge"]),
        (
            "bronze.shop_{resource}",
            "shop_{resource}",
            10,
            ["destination_table", "has no namespace", "bronze.shop_{resource}"],
        ),
        ("table_names", "table_nams", 8, ["table_nams", "did you mean 'table_names'"]),
        ("cron: 15 6 * * *", "corn: 15 6 * * *", 14, ["orchestration.corn", "did you mean 'cron'"]),
        ("cron: 15 6 * * *", "cron: daily", 14, ["orchestration.cron", "'daily'", "15 6 * * *"]),
    ],
)
def test_an_invalid_file_is_reported_with_line_source_field_value_and_remedy(
    load_location: LoadLocation, written: str, instead: str, line: int, said: list[str]
) -> None:
    """The message alone is enough to correct the mistake."""
    assert written in SHOP

    message = failure_of(load_location, shop=SHOP.replace(written, instead))

    assert f"defs/shop/defs.yaml:{line}: source 'shop'" in message
    for part in said:
        assert part in message


def test_two_sources_with_the_same_name_stop_the_location(load_location: LoadLocation) -> None:
    """The name is the pipeline's, under which the state is kept; two would share it."""
    twice = SHOP + SHOP[SHOP.index("    - name") :].replace("orders, customers", "people")

    message = failure_of(load_location, shop=twice)

    assert "source 'shop'" in message
    assert "another source is also named" in message


def test_two_sources_with_the_same_name_in_different_files_stop_the_location(
    load_location: LoadLocation,
) -> None:
    """The message names the file and line of each."""
    message = failure_of(
        load_location, shop=SHOP, store=SHOP.replace("orders, customers", "people")
    )

    assert "source 'shop'" in message
    assert "defs/shop/defs.yaml:5" in message
    assert "defs/store/defs.yaml:5" in message


def test_two_sources_that_write_one_table_differently_stop_the_location(
    load_location: LoadLocation,
) -> None:
    """One source would delete the rows that another one appended."""
    other = (
        SHOP.replace("name: shop", "name: other")
        .replace("write_mode: merge", "write_mode: append")
        .replace("      primary_key: id\n", "")
    )

    message = failure_of(load_location, shop=SHOP, store=other)

    assert "'other'" in message
    assert "bronze.shop_orders" in message


def failure_of(load_location: LoadLocation, **folders: str) -> str:
    """Load what must not load, and return everything that is said about it."""
    with pytest.raises((ComponentTreeException, ValueError)) as failed:
        load_location(**folders)
    chain: list[str] = []
    error: BaseException | None = failed.value
    while error is not None:
        chain.append(str(error))
        error = error.__cause__
    return "\n".join(chain)


OBSERVED = dedent(
    """\
    type: floe_ingestion_defs.components.IngestionComponent

    attributes:
      observed_tables:
        - table: silver.prices
          description: Prices, from the pricing team.
    """
)


def test_a_file_may_declare_observed_tables(load_location: LoadLocation) -> None:
    """They are assets beside those that are loaded."""
    observed = load_location(prices=OBSERVED).resolve_all_asset_keys()

    assert [key.to_user_string() for key in observed] == ["silver/prices"]


def test_an_invalid_table_to_observe_stops_the_location_with_its_line(
    load_location: LoadLocation,
) -> None:
    """As for sources: with the line, the field and the fix."""
    message = failure_of(load_location, prices=OBSERVED.replace("description", "descripton"))

    assert "defs/prices/defs.yaml:6: " in message
    assert "did you mean 'description'" in message


MAINTAINED = SHOP.replace("attributes:\n", "attributes:\n  maintenance: {schedule: 0 4 * * *}\n")


@pytest.mark.parametrize(
    ("own", "schedules"),
    [
        ("cron: 15 6 * * *", ["0 4 * * *"]),
        ("maintenance: {schedule: 0 5 * * *}", ["0 5 * * *"]),
        ("maintenance: null", []),
    ],
)
def test_a_file_may_have_the_maintenance_of_its_sources(
    load_location: LoadLocation, own: str, schedules: list[str]
) -> None:
    """A source's own block takes precedence, and null is none."""
    loaded = load_location(shop=MAINTAINED.replace("cron: 15 6 * * *", own)).schedules or ()
    found = [
        each.cron_schedule
        for each in loaded
        if isinstance(each, dg.ScheduleDefinition) and each.name.startswith("maintenance__")
    ]
    assert found == schedules


def test_an_invalid_maintenance_of_a_file_is_reported_with_its_line(
    load_location: LoadLocation,
) -> None:
    message = failure_of(load_location, shop=MAINTAINED.replace("0 4 * * *", "nightly"))

    assert "defs/shop/defs.yaml:4: maintenance.schedule" in message
    assert "'nightly' is not a valid five-field cron expression" in message


def test_a_template_reads_the_environment_when_the_location_loads(
    load_location: LoadLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`{{ env.X }}` is resolved at that time, as everywhere in Dagster's YAML."""
    monkeypatch.setenv("LAKE_NAMESPACE", "silver")

    definitions = load_location(shop=IN_A_NAMESPACE_OF_THE_ENVIRONMENT)

    tables = tables_of(definitions)
    assert tables == {"silver.shop_orders", "silver.shop_customers"}


def test_a_template_may_render_a_number_or_a_list(
    load_location: LoadLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rendered value is validated, not the template."""
    monkeypatch.setenv("SHOP_TABLES", "['orders', 'returns']")
    text = SHOP.replace("[orders, customers]", '"{{ env.SHOP_TABLES }}"')

    assert keys_of(load_location(shop=text)) == {
        "ingestion__shop__orders",
        "ingestion__shop__returns",
    }


def test_a_template_may_use_variables_of_the_project_s_own(load_location: LoadLocation) -> None:
    """Dagster's `template_vars`: values and functions in a module beside the file."""
    variables = dedent(
        """\
        import dagster as dg

        @dg.template_var
        def namespace():
            return "silver"

        @dg.template_var
        def daily():
            return lambda hour: f"0 {hour} * * *"
        """
    )
    text = SHOP.replace("bronze.shop_{resource}", "'{{ namespace }}.shop_{resource}'")
    text = text.replace("15 6 * * *", "'{{ daily(4) }}'")
    text = text.replace("attributes:", "template_vars_module: .variables\n\nattributes:", 1)

    definitions = load_location(files={"shop/variables.py": variables}, shop=text)

    tables = tables_of(definitions)
    assert tables == {"silver.shop_orders", "silver.shop_customers"}
    schedule = definitions.get_repository_def().get_schedule_def("ingestion__shop_schedule")
    assert schedule.cron_schedule == "0 4 * * *"


def test_a_template_with_an_unset_variable_stops_the_location(load_location: LoadLocation) -> None:
    """Dagster renders it as None silently, and a table would be named None."""
    assert "LAKE_NAMESPACE is not set" in failure_of(
        load_location, shop=IN_A_NAMESPACE_OF_THE_ENVIRONMENT
    )


def test_a_string_that_looks_like_another_type_stays_a_string() -> None:
    """Dagster's templates would turn the null token "None" into null, and "007" into a number."""
    attributes = {
        "sources": [
            {
                "name": "files",
                "source_type": "filesystem",
                "source_config": {
                    "bucket_url": "data",
                    "file_glob": "*.csv",
                    "format": "csv",
                    "null_values": ["None", "007", "'"],
                },
                "destination_table": "bronze.files",
            }
        ]
    }

    component = IngestionComponent.from_attributes_dict(attributes=attributes)

    assert component.config.sources[0].source_config["null_values"] == ["None", "007", "'"]


def test_every_field_of_the_schema_has_a_description() -> None:
    """Descriptions become the help that an editor and the docs show."""
    model = IngestionComponent.get_model_cls()
    assert issubclass(model, BaseModel)
    schema = model.model_json_schema()

    assert [path for path, field in fields_of(schema) if not field.get("description")] == []
    assert "sources.items.orchestration.cron" in dict(fields_of(schema))


def fields_of(schema: object, path: str = "") -> list[tuple[str, dict[str, object]]]:
    """List every field below a schema with its path."""
    found: list[tuple[str, dict[str, object]]] = []
    if isinstance(schema, list):
        for item in schema:
            found += fields_of(item, path)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                for name, field in value.items():
                    inner = f"{path}.{name}".strip(".")
                    found += [(inner, field), *fields_of(field, inner)]
            else:
                found += fields_of(value, f"{path}.items" if key == "items" else path)
    return found


def test_the_schema_is_plain_json() -> None:
    """`dg` hands it to editors as a file."""
    assert json.loads(json.dumps(IngestionComponent.get_model_cls().model_json_schema()))
