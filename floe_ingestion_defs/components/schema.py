"""The schema of the component's attributes, from which editors complete a `defs.yaml`.

Where the file stands, and what its templates yield, is known only when it is loaded; so pydantic
takes any list here, and the JSON schema says what belongs into it: the plugin's own model of a
source, with Dagster's settings in the place of `orchestration`.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from floe_ingestion_defs.branch import BranchTables
from floe_ingestion_defs.dagster_wiring.observed_tables import ObservedTable
from floe_ingestion_defs.dagster_wiring.settings.orchestration import OrchestrationSettings
from floe_ingestion_defs.dlt_plugin import (
    ColumnConfig,
    DltIngestionConfig,
    IngestionSourceConfig,
    RetryConfig,
)

_TEMPLATE = {"type": "string", "pattern": r"\{\{"}
_NULL = {"type": "null"}
_ANNOTATIONS = ("title", "description", "default")


class _DescribedBy:
    """Gives a field the JSON schema of a model, while any value passes its validation."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = self._model.model_json_schema()
        return _admit_below(_inline(schema, schema.pop("$defs", {})))


class SourceAttributes(IngestionSourceConfig):
    """One source, with Dagster's settings in `orchestration`."""

    orchestration: OrchestrationSettings = Field(  # type: ignore[assignment]
        default=OrchestrationSettings(),
        description="How Dagster runs the source and shows its assets.",
    )


class IngestionAttributes(BaseModel):
    """What a `defs.yaml` says about ingestion."""

    model_config = ConfigDict(extra="forbid")

    sources: list[Annotated[dict[str, Any], _DescribedBy(SourceAttributes)]] = Field(
        default_factory=list, description="The sources to load, each with a name of its own."
    )
    observed_tables: list[Annotated[dict[str, Any], _DescribedBy(ObservedTable)]] = Field(
        default_factory=list,
        description="Tables of the catalog that others write, to be observed as assets.",
    )
    catalog_config: dict[str, Any] = Field(
        default_factory=dict,
        description=DltIngestionConfig.model_fields["catalog_config"].description,
    )
    branch_tables: BranchTables = Field(
        default="clone", description=DltIngestionConfig.model_fields["branch_tables"].description
    )
    retry_config: Annotated[dict[str, Any], _DescribedBy(RetryConfig)] = Field(
        default_factory=dict, description="How failed loads are tried again by the plugin."
    )


def _inline(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Put every referenced definition where it is referred to; the models are not recursive."""

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(item) for item in value]
        if not isinstance(value, dict):
            return value
        rest = {key: inline(item) for key, item in value.items() if key != "$ref"}
        if "$ref" not in value:
            return rest
        return {**inline(definitions[value["$ref"].rpartition("/")[2]]), **rest}

    inlined: dict[str, Any] = inline(schema)
    return inlined


def _admit_short_forms(schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a schema and what the models take in its place.

    A template may stand for every value, nothing for what is left out, one text for a list of
    texts, a type's name for a column, `true` or `false` for a check. It is said by `if`, not by
    `anyOf`: of an `anyOf` that fails, people learn only that nothing fits.
    """
    outside = {key: schema[key] for key in _ANNOTATIONS if key in schema}
    inside = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    short: list[dict[str, Any]] = [_TEMPLATE]
    options = inside.get("anyOf", [])
    if options:
        of_a_mapping = any("properties" in option for option in options)
        short += [option for option in options if _is_short(option, of_a_mapping=of_a_mapping)]
        options = [_admit_short_forms(option) for option in options if option not in short]
        inside = options[0] if len(options) == 1 else {**inside, "anyOf": options}
    else:
        inside = _admit_below(inside)
        if inside.get("items", {}).get("type") == "string":
            short.append({"type": "string"})
        if schema.get("title") == ColumnConfig.__name__:
            short.append(inside["properties"]["data_type"])
    if inside in ({}, _NULL) or inside == {"type": "string"}:
        return {**outside, **inside}
    return {**outside, "if": {"anyOf": short}, "else": inside}


def _is_short(option: dict[str, Any], *, of_a_mapping: bool) -> bool:
    """Whether an option stands for another: nothing, or `true` and `false` for a mapping."""
    return option == _NULL or (of_a_mapping and option.get("type") == "boolean")


def _admit_below(schema: dict[str, Any]) -> dict[str, Any]:
    admitted = dict(schema)
    if "properties" in schema:
        admitted["properties"] = {
            name: _admit_short_forms(value) for name, value in schema["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            admitted[key] = _admit_short_forms(schema[key])
    return admitted
