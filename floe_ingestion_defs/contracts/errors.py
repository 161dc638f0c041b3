"""What can go wrong between a plugin and those who look for it, one exception for each."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ValidationError

# pydantic's kinds of error about a choice from a closed list. Only such values are shown: any other
# value of a plugin's configuration may be a password that slipped a line.
_CHOICES = frozenset({"literal_error", "enum"})


class PluginError(Exception):
    """Base of everything that the contracts layer raises."""


class PluginNotFoundError(PluginError):
    """No installed distribution offers a plugin of this type and name."""


class DuplicatePluginError(PluginError):
    """Two plugins of one type have the same name, so the name means neither."""


class PluginLoadError(PluginError):
    """A plugin's target cannot be imported, is no plugin of its type, or cannot be instantiated."""


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
        """Say what is wrong without showing values that may be secret.

        Raise the result outside of the `except` block: pydantic's own message shows every value,
        and an error raised inside would carry it along as its context.

        Args:
            plugin: The plugin's name.
            schema: The model of its configuration, whose fields are offered for a misspelt one.
            config: The configuration that was refused, used to name the items of its lists.
            error: What pydantic found.
        """
        problems = []
        for found in error.errors(include_url=False):
            problem = f"{_render_location(found['loc'], config)}: {found['msg']}"
            if found["type"] in _CHOICES and isinstance(found["input"], str):
                problem += f", not {found['input']!r}"
            if found["type"] == "extra_forbidden" and len(found["loc"]) == 1:
                problem += f"; known are {', '.join(sorted(schema.model_fields))}"
            problems.append(problem)
        return cls(f"configuration of plugin {plugin!r} is refused: " + "; ".join(problems))


def _render_location(location: Sequence[int | str], config: Any) -> str:
    """Write a place as `sources[0 'nyc_flights'].write_mode`: people know a source by its name."""
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
    """Return what stands at `part`, or None where pydantic's location leaves the data."""
    if isinstance(config, Mapping):
        return config.get(part)
    if isinstance(part, int) and isinstance(config, (list, tuple)) and part < len(config):
        return config[part]
    return None
