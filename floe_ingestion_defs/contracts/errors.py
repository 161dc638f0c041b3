"""What can go wrong between a plugin and its caller, one exception for each case."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ValidationError

# pydantic's error types about a choice from a closed list. Only such values are shown: any other
# value of a plugin's configuration may be a password that was entered in the wrong line.
_CHOICES = frozenset({"literal_error", "enum"})


class PluginError(Exception):
    """Base of all exceptions that the contracts layer raises."""


class PluginNotFoundError(PluginError):
    """No installed distribution offers a plugin of this type and name."""


class DuplicatePluginError(PluginError):
    """Two plugins of one type have the same name, so the name is ambiguous."""


class PluginLoadError(PluginError):
    """A plugin cannot be imported or instantiated, or is not a plugin of its type."""


class PluginIncompatibleError(PluginError):
    """A plugin was written for another major version of the contract."""


class PluginConfigurationError(PluginError):
    """A plugin was given a configuration that it does not accept."""

    @classmethod
    def from_validation(
        cls,
        plugin: str,
        schema: type[BaseModel],
        config: Mapping[str, Any],
        error: ValidationError,
    ) -> Self:
        """Return an error that describes what is wrong without values that may be secret.

        Raise the result outside of the `except` block: pydantic's own message shows every value,
        and an error raised inside would have it as its context.

        Args:
            plugin: The plugin's name.
            schema: The model of its configuration, whose fields are listed if one is misspelled.
            config: The configuration that was rejected, used to name the items of its lists.
            error: What pydantic found.
        """
        problems = []
        for found in error.errors(include_url=False):
            problem = f"{_render_location(found['loc'], config)}: {found['msg']}"
            if found["type"] in _CHOICES and isinstance(found["input"], str):
                problem += f", not {found['input']!r}"
            if found["type"] == "extra_forbidden" and len(found["loc"]) == 1:
                problem += f"; valid fields: {', '.join(sorted(schema.model_fields))}"
            problems.append(problem)
        return cls(f"configuration of plugin {plugin!r} is not valid: " + "; ".join(problems))


def _render_location(location: Sequence[int | str], config: Any) -> str:
    """Return a path such as `sources[0 'nyc_flights'].write_mode`, with the source's name."""
    path = ""
    for part in location:
        config = _descend(config, part)
        if isinstance(part, int):
            name = config.get("name") if isinstance(config, Mapping) else None
            path += f"[{part} {name!r}]" if isinstance(name, str) else f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path or "as a whole"


def _descend(config: Any, part: int | str) -> Any:
    """Return the value at `part`, or None where pydantic's location is not in the data."""
    if isinstance(config, Mapping):
        return config.get(part)
    if isinstance(part, int) and isinstance(config, (list, tuple)) and part < len(config):
        return config[part]
    return None
