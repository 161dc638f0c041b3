"""Validates rows against the pydantic model that a resource has as its `columns`.

dlt drops such rows without counting them, and its error contains the row. Here a row that does not
match fails the load, or is counted and quarantined, as the schema contract has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dlt.common.libs.pydantic import pydantic_to_table_schema_columns
from dlt.extract.validation import PydanticValidator
from pydantic import BaseModel, ValidationError

from floe_ingestion_defs.dlt_plugin.errors.exceptions import SchemaContractViolation
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import shown_value
from floe_ingestion_defs.dlt_plugin.schema_contract.gate import rejected_item
from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import RejectedRow
from floe_ingestion_defs.dlt_plugin.steps import items_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections

# How the reasons of rejected rows begin.
MODEL_REASON = "model "
# Errors of pydantic whose message has nothing from the row. Those of a user's own validators, and
# some of the others, quote the value.
_WITHOUT_VALUES = frozenset(
    {
        *("missing", "extra_forbidden", "none_required", "literal_error", "enum", "finite_number"),
        *("greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"),
        *("int_type", "int_parsing", "int_from_float", "float_type", "float_parsing"),
        *("decimal_type", "decimal_parsing", "decimal_max_digits", "decimal_max_places"),
        *("bool_type", "bool_parsing", "bytes_type", "list_type", "dict_type", "model_type"),
        *("string_type", "string_too_short", "string_too_long", "string_pattern_mismatch"),
        *("date_type", "datetime_type", "time_type"),
    }
)


class ModelValidation(PydanticValidator[Any]):
    """A step that applies the contract to rows by their model, in place of dlt's validator.

    Args:
        spec: The resource.
        theirs: dlt's validator, as the resource defines it.
        rejections: Counts what is rejected.
    """

    def __init__(
        self, spec: ResourceSpec, theirs: PydanticValidator[Any], rejections: Rejections
    ) -> None:
        column_mode, data_mode = theirs.column_mode, theirs.data_mode
        self._mode: str = data_mode
        if "schema_contract" in spec.given:
            self._mode = spec.schema_contract
            column_mode = "freeze"
        # dlt builds a model that accepts fields that the original does not have, or does not.
        super().__init__(theirs.original_model, column_mode, "freeze")
        config = getattr(theirs.original_model, "dlt_config", None) or {}
        self._returns_models = config.get("return_validated_models", False)
        self._spec = spec
        self._rejections = rejections

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the accepted part of an item; None if there is none.

        Raises:
            SchemaContractViolation: A row does not match, and the contract is `freeze`.
        """
        items = items_of(item)
        if not items or not isinstance(items[0], (dict, BaseModel)):
            return item
        admitted: list[Any] = []
        rejected: list[RejectedRow] = []
        for row in items:
            validated = self._validated(row, rejected)
            if validated is not None:
                admitted.append(validated)
        if rejected and self._spec.quarantine:
            return self._with_rejected(admitted, rejected)
        if isinstance(item, list):
            return admitted or None
        return admitted[0] if admitted else None

    def _validated(self, row: Any, rejected: list[RejectedRow]) -> Any:
        try:
            return self._as_row(row)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
        if self._mode == "freeze":
            raise self._violation(errors[0])
        if self._mode == "discard_value":
            fields = {str(error["loc"][0]) for error in errors if error["loc"]}
            try:
                kept = self._as_row({k: v for k, v in dict(row).items() if k not in fields})
            except ValidationError as invalid:
                errors = invalid.errors(include_url=False)
            else:
                for field in sorted(fields):
                    self._rejections.reject_values(field)
                return kept
        reason = self._reason(errors[0])
        self._rejections.reject_rows(reason)
        rejected.append(RejectedRow(reason, dict(row)))
        return None

    def _as_row(self, row: Any) -> Any:
        validated = self.model.model_validate(row)
        return validated if self._returns_models else validated.model_dump(by_alias=True)

    def _with_rejected(self, admitted: list[Any], rejected: list[RejectedRow]) -> Iterator[Any]:
        if admitted:
            yield admitted
        yield rejected_item(self._spec.table_name, rejected)

    def _reason(self, error: Mapping[str, Any]) -> str:
        rule = error["msg"] if error["type"] in _WITHOUT_VALUES else error["type"]
        return f"{MODEL_REASON}{self.original_model.__name__}: field {_field(error)}: {rule}"

    def _violation(self, error: Mapping[str, Any]) -> SchemaContractViolation:
        value = shown_value(error["input"]) if self._spec.show_values else None
        shown = "" if value is None else f" (found {value})"
        msg = (
            f"a row of table {self._spec.table_name!r} does not match its "
            f"{self._reason(error)}{shown}; correct the source or the model, or set "
            "schema_contract: discard_row. Nothing was loaded"
        )
        return SchemaContractViolation(
            msg,
            table=self._spec.table_name,
            column=_field(error),
            expected=f"model {self.original_model.__name__}",
            value=value,
        )


class ModelRejection(ModelValidation):
    """The same where rows are rejected: after dlt's incremental, so that each is counted once."""

    placement_affinity: ClassVar[float] = 1.5


def _field(error: Mapping[str, Any]) -> str:
    """Return the field of a row; the rest of the path can contain keys of a dict of the row."""
    return str(error["loc"][0]) if error["loc"] else ""


def take_model(resource: DltResource) -> PydanticValidator[Any] | None:
    """Return the validator of a resource's model, of which the resource keeps the columns alone."""
    found = resource.validator
    if not isinstance(found, PydanticValidator):
        return None
    # dlt puts the validator back into a copy of the resource unless the hint is replaced.
    resource.apply_hints(columns=pydantic_to_table_schema_columns(found.original_model))
    resource.validator = None
    return found


def validate_by_model(
    resource: DltResource,
    model: PydanticValidator[Any] | None,
    spec: ResourceSpec,
    rejections: Rejections,
) -> None:
    """Validate a resource's rows by its model, unless its contract accepts any value.

    Args:
        resource: The resource, with the settings of its configuration.
        model: What `take_model` returned before these were applied.
        spec: The resource's configuration.
        rejections: Counts what is rejected.
    """
    if model is None:
        return
    mode = spec.schema_contract if "schema_contract" in spec.given else model.data_mode
    if mode == "evolve":
        return
    step = ModelValidation if mode == "freeze" else ModelRejection
    resource.add_step(step(spec, model, rejections))
