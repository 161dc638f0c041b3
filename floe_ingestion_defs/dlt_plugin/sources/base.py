"""The interface of a source type at run time: connects to sources, and builds dlt resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections


class SourceType(Protocol):
    """One source type; its options are validated against `source_options`."""

    name: ClassVar[str]

    def resolve(
        self, source: IngestionSourceConfig, options: Any, specs: Sequence[ResourceSpec]
    ) -> Sequence[ResourceSpec]:
        """Return resources with what the source knows of them, such as keys: by default nothing.

        Args:
            source: The source, with resolved placeholders.
            options: `source_config` as the model of this source type.
            specs: Resources to extract, as configured.
        """
        return specs

    def build(
        self,
        source: IngestionSourceConfig,
        options: Any,
        specs: Sequence[ResourceSpec],
        request: LoadRequest,
        rejections: Mapping[str, Rejections],
    ) -> list[DltResource]:
        """Return the dlt resources that extract `specs`; the caller applies common hints.

        Args:
            source: The source, with resolved placeholders.
            options: `source_config` as the model of this source type.
            specs: Resources to extract.
            request: The window and the limit of the load.
            rejections: Records what cannot be loaded, by resource.
        """

    def check(self, source: IngestionSourceConfig, options: Any, timeout: float) -> None:
        """Connect to the source once, within about `timeout` seconds.

        Raises:
            Exception: The error of the driver or the file system if it cannot connect.
        """
