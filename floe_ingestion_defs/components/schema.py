"""The schema of the component's attributes, which editors use to complete a `defs.yaml`.

The location of the file and the values of its templates are known only when it is loaded, so
pydantic accepts any list here. The JSON schema describes its items: the plugin's model of a source,
with Dagster's settings as `orchestration`.
"""

from typing import Annotated, Any

from dagster.components import DefsStateConfigArgs
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from floe_ingestion_defs.branch import BranchTables
from floe_ingestion_defs.dagster_wiring.observed_tables import ObservedTable
from floe_ingestion_defs.dagster_wiring.settings.maintenance import MaintenanceSettings
from floe_ingestion_defs.dagster_wiring.settings.orchestration import OrchestrationSettings
from floe_ingestion_defs.dlt_plugin import (
    ColumnConfig,
    DltIngestionConfig,
    IngestionSourceConfig,
    RetryConfig,
)
from floe_ingestion_defs.dlt_plugin.config.models import RewriteExecutor

_TEMPLATE = {"type": "string", "pattern": r"\{\{"}
_NULL = {"type": "null"}
_ANNOTATIONS = ("title", "description", "default")


class _DescribedBy:
    """Gives a field the JSON schema of a model, while its validation accepts any value."""

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
        description="Dagster-specific settings: how to run the source and show its assets.",
    )


class IngestionAttributes(BaseModel):
    """Sources to load into Iceberg tables, and how."""

    model_config = ConfigDict(extra="forbid")

    sources: list[Annotated[dict[str, Any], _DescribedBy(SourceAttributes)]] = Field(
        default_factory=list, description="Sources to load; their names are unique."
    )
    observed_tables: list[Annotated[dict[str, Any], _DescribedBy(ObservedTable)]] = Field(
        default_factory=list,
        description="Tables of the catalog that other systems write, to observe as assets.",
    )
    maintenance: Annotated[dict[str, Any] | None, _DescribedBy(MaintenanceSettings)] = Field(
        default=None,
        description="Maintenance of the datasets that the sources load into, unless a source has "
        "a block of its own. Default: none.",
    )
    catalog_config: dict[str, Any] = Field(
        default_factory=dict,
        description=DltIngestionConfig.model_fields["catalog_config"].description,
    )
    branch_tables: BranchTables = Field(
        default="clone", description=DltIngestionConfig.model_fields["branch_tables"].description
    )
    rewrite_executor: RewriteExecutor = Field(
        default="threads",
        description=DltIngestionConfig.model_fields["rewrite_executor"].description,
    )
    retry_config: Annotated[dict[str, Any], _DescribedBy(RetryConfig)] = Field(
        default_factory=dict, description="How the plugin retries failed loads."
    )
    defs_state: Annotated[dict[str, Any], _DescribedBy(DefsStateConfigArgs)] = Field(
        default_factory=dict,
        description="Where Dagster stores the list of a database's tables, which the patterns of "
        "table_names need. Default: the local file system, in the folder of the definitions.",
    )


def _inline(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with every reference replaced by its definition; models do not recurse."""

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
    """Return a schema that also accepts the short forms that the models accept.

    These are a template for any value, null for an omitted one, a string for a list of strings, a
    data type for a column, `true` or `false` for a check, the SQL of an expression. The schema
    uses `if` rather than `anyOf`: the error of a failed `anyOf` says only that no option matches.
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
    """Return whether an option is a short form: null, or a boolean or a string for a mapping."""
    return option == _NULL or (of_a_mapping and option.get("type") in ("boolean", "string"))


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
