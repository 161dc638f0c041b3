"""Rewrites pydantic's errors as sentences that name the source, the field and the fix.

A value is included only if it is a choice or a name; any other value could be a misplaced secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from floe_ingestion_defs.dlt_plugin.config.source_options import OPTIONS_MODELS
from floe_ingestion_defs.dlt_plugin.config.validation_errors import Problem, validation_error

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHOWN_TYPES = frozenset({"literal_error", "enum"})


def name_the_source(
    wrong: ValidationError, model: type[BaseModel], data: object
) -> ValidationError:
    """Return the errors of one source, rewritten so that each names it; locations are kept."""
    raw = data if isinstance(data, Mapping) else {}
    name = raw.get("name", getattr(data, "name", None))
    subject = f"source {name!r}" if isinstance(name, str) else "a source without a name"
    return validation_error(
        wrong.title,
        (
            Problem("ingestion_source", f"{subject}: {text}", error["loc"], error["input"])
            for error, text in zip(wrong.errors(), _sentences(wrong, model, raw), strict=True)
        ),
    )


def explain(wrong: ValidationError, model: type[BaseModel]) -> str:
    """Return one line for each error of a whole configuration.

    Args:
        wrong: The errors.
        model: The model whose validation raised them.
    """
    return "\n".join(_sentences(wrong, model, {}))


def _sentences(
    wrong: ValidationError, model: type[BaseModel], raw: Mapping[str, Any]
) -> Iterator[str]:
    for error in wrong.errors():
        yield _sentence(error, model, raw)


def _sentence(error: ErrorDetails, model: type[BaseModel], raw: Mapping[str, Any]) -> str:
    if error["type"] == "ingestion_source":
        return error["msg"]
    location = error["loc"]
    field = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        known = sorted(_field_names(_model_at(model, location[:-1], raw)))
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"known fields: {', '.join(known)}"
        return f"unknown field {field!r}; {fix}"
    if error["type"] == "missing":
        description = _description(_model_at(model, location[:-1], raw), str(location[-1]))
        return f"{field} is required. {description}".rstrip()
    text = error["msg"].removeprefix("Value error, ")
    text = text.removeprefix("Input should be ")
    if not field:
        return text
    if text == error["msg"] or error["msg"].startswith("Value error"):
        return f"{field}: {text}"
    value = f" is {error['input']!r} but" if error["type"] in _SHOWN_TYPES else ""
    return f"{field}{value} must be {text}"


def _model_at(
    model: type[BaseModel] | None, location: tuple[int | str, ...], raw: Mapping[str, Any]
) -> type[BaseModel] | None:
    for part in location:
        if model is None or isinstance(part, int):
            continue
        if part == "source_config" and "source_type" in model.model_fields:
            model = OPTIONS_MODELS.get(str(raw.get("source_type")))
            continue
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                model = _model_in(field.annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)


def _field_names(model: type[BaseModel] | None) -> set[str]:
    if model is None:
        return set()
    return {field.alias or name for name, field in model.model_fields.items()}


def _description(model: type[BaseModel] | None, name: str) -> str:
    if model is None:
        return ""
    for known, field in model.model_fields.items():
        if name in (known, field.alias):
            return field.description or ""
    return ""
