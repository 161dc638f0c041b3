"""The registry: it finds plugins by their entry points, and loads one only when it is requested.

Listing the installed plugins imports none of them, so a plugin that is broken, or slow to import,
does not affect the users of another.
"""

import logging
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from pydantic import BaseModel, ValidationError

from floe_ingestion_defs.contracts.api_version import FLOE_API_VERSION, is_compatible
from floe_ingestion_defs.contracts.artifacts import PluginRef
from floe_ingestion_defs.contracts.errors import (
    DuplicatePluginError,
    PluginConfigurationError,
    PluginIncompatibleError,
    PluginLoadError,
    PluginNotFoundError,
)
from floe_ingestion_defs.contracts.metadata import PluginMetadata, PluginType
from floe_ingestion_defs.contracts.plugin import IngestionPlugin

logger = logging.getLogger(__name__)

BASE_CLASSES: Mapping[PluginType, type[PluginMetadata]] = {
    # mypy assumes that an abstract class will be instantiated (mypy issue 4717).
    PluginType.INGESTION: IngestionPlugin,  # type: ignore[type-abstract]
}
"""The abstract class that a plugin of each type must inherit."""


class PluginRegistry:
    """The plugins that are installed in this environment.

    A registry reads the entry points once: plugins that are installed later require a new registry.

    Example:
        >>> registry = PluginRegistry()
        >>> registry.list(PluginType.INGESTION)
        ['dlt']
        >>> plugin = registry.get(PluginType.INGESTION, "dlt")
    """

    def __init__(self) -> None:
        self._discovered: dict[PluginType, dict[str, metadata.EntryPoint]] | None = None
        self._instances: dict[tuple[PluginType, str], PluginMetadata] = {}

    def discover(self) -> None:
        """Look up the entry points of every plugin type, without importing any, and only once.

        The other methods call it themselves. Call it to detect two plugins of the same name early.

        Raises:
            DuplicatePluginError: Two plugins of one type have the same name.
        """
        self._entry_points()

    def list(self, plugin_type: PluginType) -> list[str]:
        """Return the names of the installed plugins of a type, sorted, without importing them."""
        return sorted(self._entry_points()[plugin_type])

    def load_class(self, plugin_type: PluginType, name: str) -> type[PluginMetadata]:
        """Import a plugin and return its class.

        Raises:
            PluginNotFoundError: No plugin of this type has this name.
            PluginLoadError: The target cannot be imported, or is not a plugin of this type.
        """
        entry_point = self._entry_point(plugin_type, name)
        try:
            target = entry_point.load()
        # A boundary: importing runs another distribution's code, which can raise any exception.
        except Exception as error:
            msg = f"{_describe(entry_point)} cannot be imported: {type(error).__name__}: {error}"
            raise PluginLoadError(msg) from error
        base = BASE_CLASSES[plugin_type]
        if not (isinstance(target, type) and issubclass(target, base)):
            msg = (
                f"{_describe(entry_point)} is not a class that inherits {base.__name__}, "
                f"as group {plugin_type.value!r} requires, but {target!r}"
            )
            raise PluginLoadError(msg)
        return target

    def get(self, plugin_type: PluginType, name: str) -> PluginMetadata:
        """Return the registry's own instance of a plugin, created unconfigured at the first call.

        Raises:
            PluginNotFoundError: No plugin of this type has this name.
            PluginLoadError: The plugin cannot be imported or instantiated.
            PluginIncompatibleError: It was written for another major version of the contract.
        """
        key = (plugin_type, name)
        if key not in self._instances:
            self._instances[key] = self._instantiate(plugin_type, name)
        return self._instances[key]

    def create(self, plugin_type: PluginType, ref: PluginRef) -> PluginMetadata:
        """Create a new instance of the plugin that `ref` names, and configure it.

        Raises:
            PluginConfigurationError: The plugin does not accept the configuration.
            PluginError: As for `get`.
        """
        plugin = self._instantiate(plugin_type, ref.type)
        if plugin.version != ref.version:
            logger.info(
                "plugin %r is version %s; its configuration was compiled for version %s",
                ref.type,
                plugin.version,
                ref.version,
            )
        schema = plugin.get_config_schema()
        plugin.configure(ref.config if schema is None else _validate(schema, ref))
        return plugin

    def load_all(self, plugin_type: PluginType) -> dict[str, PluginMetadata]:
        """Return every working plugin of a type; a broken one is logged and skipped.

        Raises:
            DuplicatePluginError: Two plugins of one type have the same name.
        """
        plugins = {}
        for name in self.list(plugin_type):
            try:
                plugins[name] = self.get(plugin_type, name)
            except (PluginLoadError, PluginIncompatibleError) as error:
                logger.warning("skipped a broken plugin: %s", error, exc_info=error)
        return plugins

    def _entry_points(self) -> dict[PluginType, dict[str, metadata.EntryPoint]]:
        if self._discovered is None:
            self._discovered = {kind: _find_entry_points(kind) for kind in PluginType}
        return self._discovered

    def _entry_point(self, plugin_type: PluginType, name: str) -> metadata.EntryPoint:
        found = self._entry_points()[plugin_type]
        if name not in found:
            installed = ", ".join(map(repr, sorted(found))) or "none"
            msg = (
                f"no plugin {name!r} in entry point group {plugin_type.value!r}; "
                f"installed plugins: {installed}"
            )
            raise PluginNotFoundError(msg)
        return found[name]

    def _instantiate(self, plugin_type: PluginType, name: str) -> PluginMetadata:
        plugin_class = self.load_class(plugin_type, name)
        described = _describe(self._entry_point(plugin_type, name))
        try:
            plugin = plugin_class()
            version = str(plugin.floe_api_version)
        # The same boundary as in `load_class`: a constructor is another distribution's code, too.
        except Exception as error:
            msg = f"{described} cannot be instantiated: {type(error).__name__}: {error}"
            raise PluginLoadError(msg) from error
        if not is_compatible(version):
            msg = (
                f"{described} was written for floe API {version!r}, but this release supports "
                f"{FLOE_API_VERSION!r}; install a release of the plugin with the same major version"
            )
            raise PluginIncompatibleError(msg)
        return plugin


def _find_entry_points(plugin_type: PluginType) -> dict[str, metadata.EntryPoint]:
    """Return the entry points of a type by name.

    Raises:
        DuplicatePluginError: Two of them have the same name. Which one is meant is ambiguous, and
            which one comes first on the path depends on how they were installed.
    """
    found: dict[str, metadata.EntryPoint] = {}
    for entry_point in metadata.entry_points(group=plugin_type.value):
        first = found.setdefault(entry_point.name, entry_point)
        if _describe(first) != _describe(entry_point):
            msg = (
                f"two plugins have the same name in entry point group {plugin_type.value!r}: "
                f"{_describe(first)} and {_describe(entry_point)}; uninstall one of them"
            )
            raise DuplicatePluginError(msg)
    return found


def _describe(entry_point: metadata.EntryPoint) -> str:
    """Return a plugin's name, its target, and the distribution that provides it."""
    distribution = entry_point.dist.name if entry_point.dist else "unknown"
    return f"plugin {entry_point.name!r} ({entry_point.value}) of distribution {distribution!r}"


def _validate(schema: type[BaseModel], ref: PluginRef) -> Any:
    """Return the reference's configuration as an instance of the plugin's own model."""
    refused: ValidationError
    try:
        return schema.model_validate(ref.config)
    except ValidationError as error:
        refused = error
    raise PluginConfigurationError.from_validation(ref.type, schema, ref.config, refused)
