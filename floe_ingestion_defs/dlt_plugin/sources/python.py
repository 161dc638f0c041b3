"""Sources of type `python`: any dlt source or resource that a user's function returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from floe_ingestion_defs.dlt_plugin.config.extras import install_command
from floe_ingestion_defs.dlt_plugin.cursors.incremental import cursor_for
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError
from floe_ingestion_defs.dlt_plugin.errors.row_values import place_in_user_code
from floe_ingestion_defs.dlt_plugin.sources.base import SourceType

if TYPE_CHECKING:
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.config.source_options.python import PythonOptions
    from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections


class PythonSource(SourceType):
    """The result of a factory: a dlt source, a resource, or several resources."""

    name: ClassVar[str] = "python"

    def build(
        self,
        source: IngestionSourceConfig,
        options: PythonOptions,
        specs: Sequence[ResourceSpec],
        request: LoadRequest,
        rejections: Mapping[str, Rejections],
    ) -> list[DltResource]:
        """Call the factory, and return its resources; those in `specs` get cursor and limit."""
        found = {resource.name: resource for resource in _resources_of(_call(options))}
        for spec in specs:
            if spec.name not in found:
                msg = (
                    f"resource {spec.name!r} of source_config.resource_names not found in "
                    f"{options.factory}; available: {', '.join(sorted(found)) or 'none'}"
                )
                raise PipelineConfigurationError(msg)
            resource = found[spec.name]
            has_own = resource.incremental is not None and request.window is None
            if not has_own and (cursor := cursor_for(spec, request)) is not None:
                resource.apply_hints(incremental=cursor)
            if request.limit is not None:
                resource.add_limit(request.limit, count_rows=True)
        return list(found.values())

    def check(self, source: IngestionSourceConfig, options: PythonOptions, timeout: float) -> None:
        """Import the factory; only the factory knows what it connects to."""
        _factory(options)


def _factory(options: PythonOptions) -> Any:
    module_name, _, name = options.factory.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # any error of a user's code
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            msg = f"source_config.factory: module {module_name} not found"
            raise PipelineConfigurationError(msg) from None
        raise PipelineConfigurationError(_import_failure(module_name, error)) from error
    try:
        return getattr(module, name)
    except AttributeError:
        msg = f"source_config.factory: module {module_name} has no function {name!r}"
        raise PipelineConfigurationError(msg) from None


def _import_failure(module_name: str, error: Exception) -> str:
    """Return why a module cannot be imported, with the line of the user's code."""
    place = place_in_user_code(error)
    where = f" in {place}" if place else ""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        reason += f"; {install_command(error.name)}"
    return f"source_config.factory: importing module {module_name} failed{where}: {reason}"


def _call(options: PythonOptions) -> Any:
    try:
        return _factory(options)(**options.arguments)
    except TypeError as error:
        msg = f"source_config.arguments are not valid for {options.factory}: {error}"
        raise PipelineConfigurationError(msg) from error


def _resources_of(made: Any) -> list[DltResource]:
    from dlt.extract import DltResource, DltSource

    if isinstance(made, DltResource):
        return [made]
    if isinstance(made, DltSource):
        return list(made.resources.values())
    if isinstance(made, Iterable) and not isinstance(made, (str, bytes)):
        resources = list(made)
        if resources and all(isinstance(resource, DltResource) for resource in resources):
            return resources
    msg = (
        f"source_config.factory returned {type(made).__name__}; it must return a dlt source or "
        "resources"
    )
    raise PipelineConfigurationError(msg)
