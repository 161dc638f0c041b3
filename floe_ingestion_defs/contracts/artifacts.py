"""What a platform's compiler hands to this code location: the plugins that it selected, as JSON.

`CompiledArtifacts.model_validate_json` reads the file, `create_definitions` of the Dagster wiring
builds the location from it.
"""

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from floe_ingestion_defs.contracts.api_version import FLOE_API_VERSION, is_compatible

# A misspelled key must not silently drop a plugin or a setting. Values are left out of pydantic's
# messages, since those of a plugin's configuration may be secret.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PluginRef(BaseModel):
    """A plugin by name, and its configuration."""

    model_config = _STRICT

    type: str = Field(
        min_length=1, description="Name of the plugin in its entry point group, such as `dlt`."
    )
    version: str = Field(
        min_length=1, description="Version of the plugin that the configuration was compiled for."
    )
    # Only what JSON can hold: a date or a SecretStr would be read back from the file as something
    # else, the latter as a row of asterisks.
    config: dict[str, JsonValue] = Field(
        default_factory=dict,
        repr=False,
        description=(
            "Configuration of the plugin, as its own schema describes it. Write secrets as "
            "`${NAME}`, so that the file does not contain them."
        ),
    )


class ResolvedPlugins(BaseModel):
    """The plugin selected for each type; None where the platform does not need that type."""

    model_config = _STRICT

    ingestion: PluginRef | None = Field(
        default=None, description="The plugin that loads data into tables."
    )


class CompiledArtifacts(BaseModel):
    """A compiled platform file, as far as ingestion reads it."""

    model_config = _STRICT

    floe_api_version: str = Field(
        default=FLOE_API_VERSION,
        description="Contract version that the file was compiled for, as `MAJOR.MINOR`.",
    )
    plugins: ResolvedPlugins | None = Field(default=None, description="The selected plugins.")

    @field_validator("floe_api_version")
    @classmethod
    def _is_understood(cls, version: str) -> str:
        if not is_compatible(version):
            msg = (
                f"compiled for floe API {version!r}, but this location supports "
                f"{FLOE_API_VERSION!r}; compile again, or install a release that supports it"
            )
            raise ValueError(msg)
        return version
