"""`${NAME}` in a configuration is a placeholder for an environment variable.

It is resolved when a pipeline is created, so a code location can be loaded and inspected on a
machine that has none of the secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def has_placeholder(value: object) -> bool:
    """Return whether a value is a string that contains a placeholder."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return isinstance(value, str) and _PLACEHOLDER.search(value) is not None


def placeholder_names(value: Any) -> Iterator[str]:
    """Yield the names of all variables that a nested value refers to."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from placeholder_names(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from placeholder_names(item)


def missing_names(value: Any, environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the variables that a nested value refers to and the environment does not set."""
    present = os.environ if environment is None else environment
    return sorted({name for name in placeholder_names(value) if name not in present})


def resolve_placeholders(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Return a copy of a nested value with every placeholder filled in and no `SecretStr` left.

    Args:
        value: String, mapping or sequence, nested to any depth; anything else is kept.
        environment: Where the variables are looked up; the process's own by default.

    Raises:
        KeyError: A variable is not set; call `missing_names` first to report all of them at once.
    """
    present = os.environ if environment is None else environment
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: present[found.group(1)], value)
    if isinstance(value, Mapping):
        return {key: resolve_placeholders(item, present) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve_placeholders(item, present) for item in value]
    return value
