"""What `DltIngestionPlugin.create_pipeline` returns: the description of a load."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_ingestion_defs.destinations import Audit
    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.config.source_options import SourceOptions
    from floe_ingestion_defs.dlt_plugin.errors.redaction import Redactor
    from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest


@dataclass(frozen=True)
class IngestionPipeline:
    """A source that was reached, the resources of it to load, and the request.

    It holds no connection and no file, so it can be loaded any number of times; each load makes a
    source and a working directory of its own.

    Attributes:
        config: The source as it was configured, placeholders unresolved.
        resolved: The source with its placeholders resolved.
        options: The options of the resolved source.
        resources: The chosen resources.
        request: Refresh, window and limit of the load.
        audits: What must hold of the staged rows before they are published.
        destination: Arguments of the destination, by which its catalog is opened.
        redactor: Strikes the configuration's secrets out of texts.
    """

    config: IngestionSourceConfig
    resolved: IngestionSourceConfig = field(repr=False)
    options: SourceOptions = field(repr=False)
    resources: tuple[ResourceSpec, ...]
    request: LoadRequest
    audits: Sequence[Audit] = field(repr=False)
    destination: dict[str, Any] = field(repr=False)
    redactor: Redactor = field(repr=False)

    @property
    def name(self) -> str:
        """Name of dlt's pipeline, which is the source's."""
        return self.config.name

    def requesting(self, **changes: Any) -> Self:
        """Return the same pipeline with fields of its request changed.

        Raises:
            PipelineConfigurationError: The resources do not allow what is requested.
        """
        request = replace(self.request, **changes)
        request.check(self.resources)
        return replace(self, request=request)

    def loads(self) -> tuple[Self, ...]:
        """Return the loads that it consists of: one, or one per resource of an isolated source."""
        if self.config.isolation == "source":
            return (self,)
        request = self.request
        if request.refresh == "drop_sources":
            # It would drop what the other resources have loaded, or are loading.
            request = replace(request, refresh="drop_resources")
        return tuple(replace(self, resources=(spec,), request=request) for spec in self.resources)
