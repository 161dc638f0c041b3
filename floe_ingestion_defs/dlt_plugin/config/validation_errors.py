"""Makes pydantic's `ValidationError` of texts that are written already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Problem(NamedTuple):
    """What is wrong in one place.

    Attributes:
        kind: pydantic's name for the kind of error.
        text: What is wrong, and what would be right.
        location: Path of the field.
        value: The value given; it is not part of the error's text.
    """

    kind: str
    text: str
    location: tuple[int | str, ...] = ()
    value: Any = None


def validation_error(title: str, problems: Iterable[Problem]) -> ValidationError:
    """Return one error of several problems.

    Args:
        title: Name of the model, as pydantic shows it.
        problems: The problems, at least one.
    """
    details: list[InitErrorDetails] = [
        {
            # The text is a template to pydantic: braces in it must not be taken for fields.
            "type": PydanticCustomError(problem.kind, "{text}", {"text": problem.text}),
            "loc": problem.location,
            "input": problem.value,
        }
        for problem in problems
    ]
    return ValidationError.from_exception_data(title, details, hide_input=True)
