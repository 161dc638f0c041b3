"""The JSON schema of the attributes of a `defs.yaml`, for editors and `dg check yaml`."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from floe_ingestion_defs.components import IngestionComponent
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = IngestionComponent.get_model_cls().model_json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def with_checks(**checks: Any) -> dict[str, Any]:
    """The attributes of a file whose one source has these checks."""
    source = {
        "name": "shop",
        "source_type": "sql_database",
        "source_config": {"table_names": ["orders"]},
        "credentials": "${SHOP_DATABASE}",
        "destination_table": "bronze.shop_{resource}",
        "primary_key": "id",
        "orchestration": {"checks": checks},
    }
    return {"sources": [source]}


CHECKS = ["schema_contract", "unique_key", "not_null", "row_count_change"]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "value", [True, False, None, {"severity": "warn"}, {"blocking": True}, "{{ env.CHECK }}"]
)
def test_a_check_can_be_enabled_disabled_or_configured(
    validator: Draft202012Validator, check: str, value: Any
) -> None:
    """An editor must not mark as invalid what the component accepts."""
    attributes = with_checks(**{check: value})

    assert list(validator.iter_errors(attributes)) == []
    if value != "{{ env.CHECK }}":
        DltIngestionPlugin(attributes)


@pytest.mark.parametrize(
    ("checks", "path", "said"),
    [
        ({"unique_key": "on"}, "unique_key", "'on' is not of type 'object'"),
        ({"unique_key": {"colums": "id"}}, "unique_key", "'colums' was unexpected"),
        ({"unique_key": {"severity": "bad"}}, "unique_key.severity", "'bad' is not one of"),
        # How old is too old is different for each table, so there is no default to switch on.
        ({"freshness": True}, "freshness", "True is not of type 'object'"),
        ({"freshness": {"fail_after": "soon"}}, "freshness.fail_after", "'soon' does not match"),
        ({"freshnes": {"fail_after": "1d"}}, "", "'freshnes' was unexpected"),
    ],
)
def test_an_invalid_check_is_reported_with_its_line(
    validator: Draft202012Validator, checks: dict[str, Any], path: str, said: str
) -> None:
    """The error names the field, instead of saying that none of several forms fits."""
    (error,) = validator.iter_errors(with_checks(**checks))

    where = ".".join(str(part) for part in error.absolute_path)
    assert where == f"sources.0.orchestration.checks.{path}".rstrip(".")
    assert said in error.message


def test_a_named_check_can_be_its_expression_alone(validator: Draft202012Validator) -> None:
    """An editor accepts the short form, and reports an unknown setting by its name."""
    checks = {"positive": "total > 0", "off": False, "all": {"sql": "count(*) > 0"}}
    assert list(validator.iter_errors(with_checks(expression=checks))) == []

    (error,) = validator.iter_errors(
        with_checks(expression={"all": {"sql": "true", "scop": "load"}})
    )
    assert "'scop' was unexpected" in error.message


def test_freshness_can_be_disabled(validator: Draft202012Validator) -> None:
    """A resource does that where its source has the check for all."""
    assert list(validator.iter_errors(with_checks(freshness=False))) == []
