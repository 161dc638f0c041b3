"""`IngestionPipeline`, which `DltIngestionPlugin.create_pipeline` returns: describes a load."""

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
    """A source that can be reached, its resources to load, and the request.

    It has no open connection or file, so it can be loaded any number of times; each load creates
    its own source and working directory.

    Attributes:
        config: The source as configured, with unresolved placeholders.
        resolved: The source with its placeholders resolved.
        options: The options of the resolved source.
        resources: The selected resources.
        request: Refresh, window and limit of the load.
        audits: Conditions that the staged rows must meet before they are published.
        destination: Arguments of the destination, with which its catalog is opened.
        redactor: Redacts the configuration's secrets from text.
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
        """Name of dlt's pipeline, which is also the name of the source."""
        return self.config.name

    def requesting(self, **changes: Any) -> Self:
        """Return the same pipeline with some fields of its request changed.

        Raises:
            PipelineConfigurationError: The resources do not support the request.
        """
        request = replace(self.request, **changes)
        request.check(self.resources)
        return replace(self, request=request)

    def loads(self) -> tuple[Self, ...]:
        """Return the loads of the pipeline: one, or one per resource of an isolated source."""
        if self.config.isolation == "source":
            return (self,)
        request = self.request
        if request.refresh == "drop_sources":
            # It would drop the rows that the other resources have loaded, or are loading.
            request = replace(request, refresh="drop_resources")
        return tuple(replace(self, resources=(spec,), request=request) for spec in self.resources)
