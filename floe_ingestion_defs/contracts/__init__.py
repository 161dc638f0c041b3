"""The interface between platform and ingestion plugins, independent of loader and orchestrator.

Plugin authors import from here; `contracts.conformance` holds the tests that a plugin must pass.
"""

from floe_ingestion_defs.contracts.artifacts import CompiledArtifacts, PluginRef, ResolvedPlugins
from floe_ingestion_defs.contracts.errors import (
    DuplicatePluginError,
    PluginConfigurationError,
    PluginError,
    PluginIncompatibleError,
    PluginLoadError,
    PluginNotFoundError,
)
from floe_ingestion_defs.contracts.metadata import (
    HealthState,
    HealthStatus,
    PluginMetadata,
    PluginType,
)
from floe_ingestion_defs.contracts.plugin import IngestionConfig, IngestionPlugin, IngestionResult
from floe_ingestion_defs.contracts.registry import PluginRegistry

__all__ = [
    "CompiledArtifacts",
    "DuplicatePluginError",
    "HealthState",
    "HealthStatus",
    "IngestionConfig",
    "IngestionPlugin",
    "IngestionResult",
    "PluginConfigurationError",
    "PluginError",
    "PluginIncompatibleError",
    "PluginLoadError",
    "PluginMetadata",
    "PluginNotFoundError",
    "PluginRef",
    "PluginRegistry",
    "PluginType",
    "ResolvedPlugins",
]
