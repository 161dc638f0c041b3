"""Builds pydantic's `ValidationError` from messages that are already written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Problem(NamedTuple):
    """One error at one location.

    Attributes:
        kind: pydantic's name for the type of the error.
        text: The error and how to fix it.
        location: Path of the field.
        value: The invalid value; it is not part of the error's message.
    """

    kind: str
    text: str
    location: tuple[int | str, ...] = ()
    value: Any = None


def validation_error(title: str, problems: Iterable[Problem]) -> ValidationError:
    """Return one error that reports several problems.

    Args:
        title: Name of the model, as pydantic shows it.
        problems: The problems, at least one.
    """
    details: list[InitErrorDetails] = [
        {
            # pydantic formats the message as a template: braces in it must not be read as fields.
            "type": PydanticCustomError(problem.kind, "{text}", {"text": problem.text}),
            "loc": problem.location,
            "input": problem.value,
        }
        for problem in problems
    ]
    return ValidationError.from_exception_data(title, details, hide_input=True)
