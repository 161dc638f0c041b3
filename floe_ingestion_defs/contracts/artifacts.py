"""What a platform's compiler hands to this code location: which plugins it settled on, as JSON.

`CompiledArtifacts.model_validate_json` reads the file, `create_definitions` of the Dagster wiring
builds the location from it.
"""

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from floe_ingestion_defs.contracts.api_version import FLOE_API_VERSION, is_compatible

# A misspelt key must not silently leave a plugin or a setting out. Values stay out of pydantic's
# messages, since those of a plugin's configuration may be secret.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PluginRef(BaseModel):
    """A plugin by name, and the configuration to give it."""

    model_config = _STRICT

    type: str = Field(
        min_length=1, description="Name of the plugin in its entry point group, such as `dlt`."
    )
    version: str = Field(
        min_length=1, description="Version of the plugin that the configuration was compiled for."
    )
    # Only what JSON can hold: a date or a SecretStr would come back from the file as something
    # else, the latter as a row of asterisks.
    config: dict[str, JsonValue] = Field(
        default_factory=dict,
        repr=False,
        description=(
            "Configuration of the plugin, as its own schema describes it. Give secrets as "
            "`${NAME}`, so that the file does not hold them."
        ),
    )


class ResolvedPlugins(BaseModel):
    """The plugin chosen for each type; none where the platform has nothing of it to do."""

    model_config = _STRICT

    ingestion: PluginRef | None = Field(default=None, description="What loads data into tables.")


class CompiledArtifacts(BaseModel):
    """A compiled platform file, as far as ingestion reads it."""

    model_config = _STRICT

    floe_api_version: str = Field(
        default=FLOE_API_VERSION,
        description="Contract version that the file was compiled for, as `MAJOR.MINOR`.",
    )
    plugins: ResolvedPlugins | None = Field(default=None, description="The plugins settled on.")

    @field_validator("floe_api_version")
    @classmethod
    def _is_understood(cls, version: str) -> str:
        if not is_compatible(version):
            msg = (
                f"compiled for floe API {version!r}, while this location speaks "
                f"{FLOE_API_VERSION!r}; compile again, or install the release that speaks it"
            )
            raise ValueError(msg)
        return version
