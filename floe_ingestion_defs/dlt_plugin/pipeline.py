"""A dlt pipeline together with its source, in a working directory of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from floe_ingestion_defs.dlt_plugin.config.ingestion import IngestionSourceConfig
from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
from floe_ingestion_defs.dlt_plugin.errors.redaction import Redactor
from floe_ingestion_defs.dlt_plugin.load_request import WHOLE, LoadRequest
from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections
from floe_ingestion_defs.dlt_plugin.telemetry.phases import PhaseClock

if TYPE_CHECKING:
    from types import TracebackType

    from dlt import Pipeline
    from dlt.extract import DltSource


@dataclass
class IngestionPipeline:
    """What `DltIngestionPlugin.create_pipeline` makes and `run` and `load` need.

    A run uses it up: the working directory is removed after it, for no state is kept outside
    Iceberg. Running it again makes a fresh one from the same configuration. Use it as a context
    manager where it may come to no run.

    Args:
        pipeline: dlt's pipeline, named after the source.
        source: dlt's source with the chosen resources.
        config: The source as it was configured, placeholders unresolved.
        resources: The chosen resources.
        working_dir: The working directory, this pipeline's alone.
        destination: Arguments of the destination, by which its catalog is opened.
        redactor: Strikes the configuration's secrets out of texts.
        rejections: What the resources' contracts refuse, by their names.
        phases: Measures the phases of a load.
        make_again: Makes a pipeline of the same source, of some of its resources, for a request.
        used: Whether its source has been extracted.
    """

    pipeline: Pipeline
    source: DltSource
    config: IngestionSourceConfig
    resources: tuple[ResourceSpec, ...]
    working_dir: Path
    destination: dict[str, Any] = field(repr=False)
    redactor: Redactor = field(repr=False)
    rejections: dict[str, Rejections] = field(repr=False)
    phases: PhaseClock = field(repr=False)
    make_again: Callable[[Sequence[str], LoadRequest], IngestionPipeline] = field(repr=False)
    used: bool = field(default=False, repr=False)

    @property
    def name(self) -> str:
        """Name of dlt's pipeline, which is the source's."""
        return self.config.name

    def renew(
        self, resources: Sequence[str] | None = None, request: LoadRequest = WHOLE
    ) -> IngestionPipeline:
        """Make the pipeline afresh.

        Args:
            resources: Names of the resources to load; the same ones by default.
            request: The window and the limit of the load.
        """
        names = [spec.name for spec in self.resources] if resources is None else resources
        return self.make_again(names, request)

    def close(self) -> None:
        """Remove the working directory."""
        shutil.rmtree(self.working_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
