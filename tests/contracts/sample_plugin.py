"""A small, whole ingestion plugin; tests install copies of this file as distributions."""

from typing import Any, Literal

from pydantic import BaseModel

from floe_ingestion_defs.contracts import IngestionConfig, IngestionPlugin, IngestionResult


class Source(BaseModel, extra="forbid"):
    name: str
    port: int | list[int] = 5432
    write_mode: Literal["append", "replace", "merge"] = "append"


class Config(BaseModel, extra="forbid"):
    sources: list[Source] = []


class SamplePlugin(IngestionPlugin):
    name = "sample"
    version = "1.2.3"
    floe_api_version = "1.0"
    is_external = False

    def __init__(self) -> None:
        self.config = Config()

    def get_config_schema(self) -> type[BaseModel]:
        return Config

    def configure(self, config: Config) -> None:
        self.config = config

    def create_pipeline(self, config: IngestionConfig) -> Any:
        return config.source_config["rows"]

    def run(self, pipeline: Any, **kwargs: Any) -> IngestionResult:
        return IngestionResult(success=True, rows_loaded=len(pipeline))

    def get_destination_config(self, catalog_config: dict[str, Any]) -> dict[str, Any]:
        return {"destination": "nowhere", **catalog_config}
